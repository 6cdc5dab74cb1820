/* log: see the header. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

void log_write(struct logger *l, enum log_level level, const char *format, ...)
{
	char line[1001];
	va_list args;

	if (!l || level < l->least)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	for (char *at = line; *at; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
	l->write(l, level, line);
}

const char *log_level_name(enum log_level level)
{
	static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

	return names[level];
}
