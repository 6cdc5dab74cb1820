/* re2: see the header. The one source in C++. */
#include "regex/re2.h"

#include <re2/re2.h>

struct re2_pattern {
	re2_pattern(const re2::StringPiece &pattern, const RE2::Options &options) : compiled(pattern, options)
	{
	}
	RE2 compiled;
};

static enum re2_error error_of(const RE2 &compiled)
{
	switch (compiled.error_code()) {
	case RE2::NoError:
		return RE2_OK;
	case RE2::ErrorBadEscape:
		return RE2_BAD_ESCAPE;
	case RE2::ErrorBadCharClass:
		return RE2_BAD_CLASS;
	case RE2::ErrorBadCharRange:
		return RE2_BAD_RANGE;
	case RE2::ErrorMissingBracket:
		return RE2_MISSING_BRACKET;
	case RE2::ErrorMissingParen:
		return RE2_MISSING_PARENTHESIS;
	case RE2::ErrorTrailingBackslash:
		return RE2_TRAILING_BACKSLASH;
	case RE2::ErrorRepeatArgument:
		return RE2_REPEAT_OF_NOTHING;
	case RE2::ErrorRepeatSize:
		return RE2_BAD_REPEAT_COUNT;
	case RE2::ErrorRepeatOp:
		return RE2_NESTED_REPEAT;
	case RE2::ErrorBadPerlOp:
		return RE2_BAD_PERL_SYNTAX;
	case RE2::ErrorBadUTF8:
		return RE2_BAD_UTF8;
	case RE2::ErrorBadNamedCapture:
		return RE2_BAD_NAME;
	case RE2::ErrorPatternTooLarge:
		return RE2_TOO_LARGE;
	default:
		return RE2_OTHER_ERROR;
	}
}

enum re2_error re2_new(const char *pattern, size_t size, size_t max_bytes, struct re2_pattern **ret_pattern)
{
	RE2::Options options;
	struct re2_pattern *p;
	enum re2_error error;

	options.set_log_errors(false);
	options.set_never_capture(true);
	options.set_max_mem(static_cast<int64_t>(max_bytes));
	p = new re2_pattern(re2::StringPiece(pattern, size), options);
	error = error_of(p->compiled);
	if (error == RE2_OK)
		*ret_pattern = p;
	else
		delete p;
	return error;
}

void re2_free(struct re2_pattern *p)
{
	delete p;
}

bool re2_matches(const struct re2_pattern *p, const char *text, size_t size)
{
	return RE2::FullMatch(re2::StringPiece(text, size), p->compiled);
}

size_t re2_instructions(const struct re2_pattern *p)
{
	return static_cast<size_t>(p->compiled.ProgramSize());
}
