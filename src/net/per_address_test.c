/* per_address_test: which limit holds for which address. */
#include "net/per_address.h"

#include "base/test.h"

TEST(an_address_has_the_limit_that_names_it_or_that_of_all)
{
	static const struct {
		const char *overrides;
		const char *host;
		size_t limit;
	} table[] = {
		{"", "10.0.0.1", 7},
		{"10.0.0.1:5", "10.0.0.1", 5},
		{"10.0.0.1:5", "10.0.0.2", 7},
		{"10.0.0.1:5", "10.0.0.11", 7},
		{" 10.0.0.1 : 5 , 10.0.0.2:0", "10.0.0.1", 5},
		{"10.0.0.1:5,10.0.0.2:0", "10.0.0.2", 0},
		{"::1:3,2001:db8::1:4", "::1", 3},
		{"::1:3,2001:db8::1:4", "2001:db8::1", 4},
		{"10.0.0.1:5,10.0.0.1:6", "10.0.0.1", 5},
		{"10.0.0.1:x,10.0.0.1:6", "10.0.0.1", 6},
		{"10.0.0.1:,,:,10.0.0.1", "10.0.0.1", 7},
		{"10.0.0.1:99999999999999999999999", "10.0.0.1", 7},
	};

	for (size_t i = 0; i < countof(table); i++)
		CHECK_EQ(per_address_limit(bytes_str(table[i].overrides), bytes_str(table[i].host), 7), table[i].limit);
}
