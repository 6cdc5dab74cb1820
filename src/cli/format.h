/*
 * format: how a consumed message is printed: kcat's format strings, rpk's, or JSON. Compiled once, then appended to a buffer,
 * byte for byte. Pure but for jansson.
 *
 *      kcat   %s value  %k key  %S %K their sizes (-1: null)  %R size of the value, 4 bytes  %t topic  %p partition  %o offset
 *             %T time in ms  %h headers (a=b,c=d)
 *      rpk    %v value  %k key  %V %K their sizes  %t topic  %T its size  %p %o %e leader epoch  %d time  %h{...} headers (%k %v inside)
 *             %H their number  %i number of the message  %a attributes of the time;   text: {hex} {base64} {base64raw};
 *             numbers: {ascii} {hex64} .. {hex4} {big64} .. {big8} {little64} .. {little8} {byte} {bool};
 *             %d also {strftime[...]} and {go[2006-01-02T15:04:05Z07:00]}
 *      both   %% \n \t \r \\ \xNN
 *
 * A string is rpk's when it has %v, %V, %d, %e, %H, %i or a brace behind a verb; else kcat's. They differ in %T and %h.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "base/buf.h"
#include "moldau/moldau.h"

struct format;

/* NULL after words in `ret_why`. */
struct format *format_new(const char *text, char *ret_why, size_t why_size);
void format_free(struct format *f);
/* With `show_null`, a null prints as NULL (kcat -Z). */
void format_print(const struct format *f, const struct mo_message *m, uint64_t number, bool show_null, struct buf *out);

/* One line: {"topic", "partition", "offset", "timestamp", "timestampType", "key", "value", "headers"}; what is no UTF-8 is in "key_base64", "value_base64". */
void format_print_json(const struct mo_message *m, struct buf *out);

#endif
