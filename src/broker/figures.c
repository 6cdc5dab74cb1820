/* figures: see the header. */
#include "broker/figures.h"

#include "base/alloc.h"

void request_figures_fini(struct request_figures *f)
{
	for (size_t i = 0; i < FIGURES_KEYS; i++)
		mem_free(f->apis[i]);
	*f = (struct request_figures){0};
}

static struct api_figures *of(struct request_figures *f, int16_t key)
{
	must(key >= 0 && key < FIGURES_KEYS);
	if (!f->apis[key])
		f->apis[key] = mem_new(struct api_figures);
	return f->apis[key];
}

void figures_begun(struct request_figures *f, int16_t key)
{
	of(f, key)->requests++;
}

void figures_answered(struct request_figures *f, int16_t key, int64_t time_us)
{
	histogram_add(&of(f, key)->time_us, time_us);
}

static void count_code(struct api_figures *a, int16_t code, uint64_t count)
{
	for (size_t i = 0; i < a->code_count; i++)
		if (a->codes[i] == code) {
			a->errors[i] += count;
			return;
		}
	if (a->code_count == FIGURES_CODES) {
		a->other_errors += count;
		return;
	}
	a->codes[a->code_count] = code;
	a->errors[a->code_count++] = count;
}

void figures_errors(struct request_figures *f, int16_t key, const struct encode_errors *errors)
{
	struct api_figures *a;

	if (errors->kinds == 0)
		return;
	a = of(f, key);
	for (size_t i = 0; i < errors->kinds; i++)
		count_code(a, errors->codes[i], errors->counts[i]);
	a->other_errors += errors->others;
}
