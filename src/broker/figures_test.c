/* figures_test: requests by API, errors by code. */
#include "broker/figures.h"

#include "base/test.h"

TEST(apis_are_counted_apart)
{
	struct request_figures f = {0};

	figures_begun(&f, 0);
	figures_begun(&f, 0);
	figures_begun(&f, FIGURES_KEYS - 1);
	figures_answered(&f, 0, 1500);
	CHECK_EQ(f.apis[0]->requests, 2);
	CHECK_EQ(f.apis[0]->time_us.count, 1);
	CHECK_EQ(f.apis[0]->time_us.sum, 1500);
	CHECK_EQ(f.apis[FIGURES_KEYS - 1]->requests, 1);
	CHECK(!f.apis[1]);
	request_figures_fini(&f);
	CHECK(!f.apis[0]);
}

TEST(errors_are_counted_by_code_up_to_a_bound)
{
	struct request_figures f = {0};
	struct encode_errors none = {0}, errors = {.kinds = 2, .codes = {3, -1}, .counts = {5, 1}, .others = 4};

	figures_errors(&f, 1, &none);
	CHECK(!f.apis[1]);
	figures_errors(&f, 1, &errors);
	figures_errors(&f, 1, &errors);
	CHECK_EQ(f.apis[1]->code_count, 2);
	CHECK_EQ(f.apis[1]->codes[0], 3);
	CHECK_EQ(f.apis[1]->errors[0], 10);
	CHECK_EQ(f.apis[1]->codes[1], -1);
	CHECK_EQ(f.apis[1]->errors[1], 2);
	CHECK_EQ(f.apis[1]->other_errors, 8);
	for (int16_t code = 10; code < 10 + FIGURES_CODES; code++) {
		struct encode_errors one = {.kinds = 1, .codes = {code}, .counts = {1}};

		figures_errors(&f, 1, &one);
	}
	CHECK_EQ(f.apis[1]->code_count, FIGURES_CODES);
	CHECK_EQ(f.apis[1]->other_errors, 8 + 2);
	request_figures_fini(&f);
}
