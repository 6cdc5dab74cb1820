/* request: see the header. The only file that knows http_parser; its successor, llhttp, has the same callbacks. */
#include "http/request.h"

#include <http_parser.h>

#include "base/alloc.h"

#define HOST "host"

struct http_reader {
	http_parser parser;
	http_parser_settings settings;
	size_t head_bytes; /* of the request under way */
	size_t target_size;
	char target[HTTP_TARGET_MAX];
	size_t name_size; /* of the header under way */
	char name[sizeof(HOST) - 1];
	bool within_name;
	size_t hosts;
	size_t host_size;
	char host[HTTP_HOST_MAX];
	bool target_too_long;
	bool complete;
	bool has_body;
	bool keep_alive;
	unsigned bad; /* the status that ended it */
};

static int on_begin(http_parser *p)
{
	struct http_reader *r = p->data;

	r->target_size = r->name_size = r->hosts = r->host_size = 0;
	r->within_name = false;
	r->complete = r->has_body = false;
	return 0;
}

static int on_target(http_parser *p, const char *at, size_t size)
{
	struct http_reader *r = p->data;

	if (size > HTTP_TARGET_MAX - r->target_size) {
		r->target_too_long = true;
		return 1;
	}
	memcpy(r->target + r->target_size, at, size);
	r->target_size += size;
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int on_name(http_parser *p, const char *at, size_t size)
{
	struct http_reader *r = p->data;

	if (!r->within_name)
		r->name_size = 0;
	r->within_name = true;
	for (size_t i = 0; i < size; i++, r->name_size++)
		if (r->name_size < sizeof(r->name))
			r->name[r->name_size] = lower(at[i]);
	return 0;
}

/* More than one Host is refused, as RFC 9112 has it: nobody can tell which one counts. */
static int on_value(http_parser *p, const char *at, size_t size)
{
	struct http_reader *r = p->data;
	bool is_host = r->name_size == sizeof(r->name) && memcmp(r->name, HOST, sizeof(r->name)) == 0;

	if (is_host && r->within_name)
		r->hosts++;
	r->within_name = false;
	if (!is_host)
		return 0;
	if (r->hosts > 1 || size > HTTP_HOST_MAX - r->host_size || memchr(at, 0, size))
		return 1;
	memcpy(r->host + r->host_size, at, size);
	r->host_size += size;
	return 0;
}

static int on_headers(http_parser *p)
{
	struct http_reader *r = p->data;
	bool has_length = p->content_length != 0 && p->content_length != UINT64_MAX;

	r->has_body = has_length || (p->flags & F_CHUNKED);
	r->keep_alive = http_should_keep_alive(p) && !r->has_body && !p->upgrade;
	return 1; /* what follows is no body to be read */
}

static int on_complete(http_parser *p)
{
	struct http_reader *r = p->data;

	r->complete = true;
	http_parser_pause(p, 1);
	return 0;
}

struct http_reader *http_reader_new(void)
{
	struct http_reader *r = mem_new(struct http_reader);

	http_parser_init(&r->parser, HTTP_REQUEST);
	r->parser.data = r;
	http_parser_settings_init(&r->settings);
	r->settings.on_message_begin = on_begin;
	r->settings.on_url = on_target;
	r->settings.on_header_field = on_name;
	r->settings.on_header_value = on_value;
	r->settings.on_headers_complete = on_headers;
	r->settings.on_message_complete = on_complete;
	return r;
}

void http_reader_free(struct http_reader *r)
{
	mem_free(r);
}

bool http_reader_within(const struct http_reader *r)
{
	return r->head_bytes > 0;
}

/* The path within the target, which may be "/a?b", "http://host/a" or "*". */
static bool find_path(const struct http_reader *r, struct bytes *ret_path)
{
	bool is_connect = r->parser.method == HTTP_CONNECT;
	struct http_parser_url url;

	*ret_path = bytes_str("/");
	if (r->target_size == 1 && r->target[0] == '*')
		return true;
	http_parser_url_init(&url);
	if (http_parser_parse_url(r->target, r->target_size, is_connect, &url))
		return false;
	if (url.field_set & (1U << UF_PATH))
		*ret_path = bytes_of(r->target + url.field_data[UF_PATH].off, url.field_data[UF_PATH].len);
	return true;
}

static enum request_method method_of(const http_parser *p)
{
	if (p->method == HTTP_GET)
		return METHOD_GET;
	return p->method == HTTP_HEAD ? METHOD_HEAD : METHOD_OTHER;
}

static enum request_step bad(struct http_reader *r, unsigned status, unsigned *ret_status)
{
	r->bad = status;
	*ret_status = status;
	return REQUEST_BAD;
}

static enum request_step request_complete(struct http_reader *r, struct http_request *ret_request, unsigned *ret_status)
{
	struct bytes path;

	if (r->parser.http_major != 1)
		return bad(r, 505, ret_status);
	if (!find_path(r, &path))
		return bad(r, 400, ret_status);
	ret_request->method = method_of(&r->parser);
	ret_request->keep_alive = r->keep_alive;
	ret_request->has_body = r->has_body;
	memcpy(ret_request->path, path.data, path.size);
	ret_request->path[path.size] = 0;
	while (r->host_size > 0 && (r->host[r->host_size - 1] == ' ' || r->host[r->host_size - 1] == '\t'))
		r->host_size--;
	memcpy(ret_request->host, r->host, r->host_size);
	ret_request->host[r->host_size] = 0;
	http_parser_pause(&r->parser, 0);
	r->head_bytes = 0;
	return REQUEST_WHOLE;
}

enum request_step http_reader_step(struct http_reader *r, struct bytes *source, struct http_request *ret_request,
				   unsigned *ret_status)
{
	size_t room = HTTP_HEAD_MAX - r->head_bytes;
	size_t size = source->size < room ? source->size : room;
	size_t used;

	if (r->bad)
		return bad(r, r->bad, ret_status);
	if (source->size == 0)
		return REQUEST_MORE;
	used = http_parser_execute(&r->parser, &r->settings, (const char *)source->data, size);
	r->head_bytes += used;
	*source = bytes_of(source->data + used, source->size - used);
	if (r->complete && HTTP_PARSER_ERRNO(&r->parser) == HPE_PAUSED) {
		r->complete = false;
		return request_complete(r, ret_request, ret_status);
	}
	if (r->target_too_long)
		return bad(r, 414, ret_status);
	if (HTTP_PARSER_ERRNO(&r->parser) != HPE_OK)
		return bad(r, 400, ret_status);
	if (r->head_bytes >= HTTP_HEAD_MAX)
		return bad(r, 431, ret_status);
	return REQUEST_MORE;
}

/* --- hosts ----------------------------------------------------------------------------------------------------------- */

/* Without its port, and without the dot that may end a name. */
static struct bytes without_port(const char *host)
{
	struct bytes all = bytes_str(host);
	size_t size = all.size;

	while (size > 0 && all.data[size - 1] >= '0' && all.data[size - 1] <= '9')
		size--;
	if (size > 0 && all.data[size - 1] == ':')
		all.size = size - 1;
	if (all.size > 1 && all.data[all.size - 1] == '.')
		all.size--;
	return all;
}

static bool is_name(struct bytes host, const char *name)
{
	if (host.size != strlen(name))
		return false;
	for (size_t i = 0; i < host.size; i++)
		if (lower((char)host.data[i]) != lower(name[i]))
			return false;
	return true;
}

/* Four numbers. Browsers take every name that ends in a number for an address, or for nothing. */
static bool is_ipv4(struct bytes host)
{
	unsigned parts = 1, digits = 0;

	for (size_t i = 0; i < host.size; i++) {
		uint8_t c = host.data[i];

		if (c == '.' && digits > 0) {
			parts++;
			digits = 0;
		} else if (c < '0' || c > '9' || ++digits > 3) {
			return false;
		}
	}
	return parts == 4 && digits > 0;
}

/* In brackets: no name has such. */
static bool is_ipv6(struct bytes host)
{
	if (host.size < 4 || host.data[0] != '[' || host.data[host.size - 1] != ']')
		return false;
	for (size_t i = 1; i + 1 < host.size; i++)
		if (!memchr("0123456789abcdefABCDEF:.", host.data[i], 24))
			return false;
	return true;
}

bool http_host_is_no_name(const char *host)
{
	struct bytes name = without_port(host);

	return !*host || is_name(name, "localhost") || is_ipv4(name) || is_ipv6(name);
}

bool http_host_is(const char *host, const char *name)
{
	return is_name(without_port(host), name);
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_unescape(struct bytes text, char *ret_text, size_t *ret_size)
{
	size_t size = 0;

	for (size_t i = 0; i < text.size; i++) {
		int high, low;

		if (text.data[i] != '%') {
			ret_text[size++] = (char)text.data[i];
			continue;
		}
		high = text.size - i > 2 ? hex_digit(text.data[i + 1]) : -1;
		low = high >= 0 ? hex_digit(text.data[i + 2]) : -1;
		if (low < 0)
			return false;
		ret_text[size++] = (char)(high * 16 + low);
		i += 2;
	}
	*ret_size = size;
	return true;
}
