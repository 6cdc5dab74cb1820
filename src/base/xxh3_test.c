/* xxh3: what the reference library (libxxhash 0.8.1) gives, on both sides of each border between its ways. */
#include "base/xxh3.h"

#include "base/test.h"

TEST(each_length_gives_what_the_reference_gives)
{
	static const struct {
		size_t size;
		uint64_t hash;
	} cases[] = {
		{0, 0x2d06800538d394c2U},    {1, 0xc44bdff4074eecdbU},    {2, 0x50a0dc43c774eb84U},
		{3, 0x3698b80191e625f9U},    {4, 0x2e4ac2f1c52157fcU},    {7, 0xd02b16c5070846f4U},
		{8, 0xdad54420b5789056U},    {9, 0x84d5ec9ca5a09c53U},    {15, 0xb77797dfbefff558U},
		{16, 0x68b2cc873ff27302U},   {17, 0xb06f8260bd2bbef6U},   {32, 0x9336b734a2696d58U},
		{33, 0xf12ad4a1eb9b2acfU},   {64, 0xa86c8e44d123cdd4U},   {65, 0x834e7b439094db98U},
		{127, 0x25e1c34d33dce0e6U},  {128, 0x74019cb46f85b9d9U},  {129, 0x8630ae45a41c5069U},
		{130, 0xeb408e5016c66239U},  {160, 0xfb2b635689bf7137U},  {239, 0x11ddb05b68f89243U},
		{240, 0x37fb55e867827b0cU},  {241, 0xa940cb6f5924251eU},  {255, 0xd2b07836405d1159U},
		{256, 0x3db57bf356dc5dadU},  {257, 0xd005eb5d1f9add72U},  {1023, 0x333b87388898a0a6U},
		{1024, 0x5d6b898b002c4976U}, {1025, 0xfc9600347003dd1aU}, {1088, 0x1fa945310d0b7411U},
		{2048, 0xa1da83cec967475dU}, {4999, 0xbd06ee1cf7053819U},
	};
	uint8_t input[5000];

	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)(i * 31 + i / 7);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_EQ(xxh3_64(bytes_of(input, cases[i].size)), cases[i].hash);
}
