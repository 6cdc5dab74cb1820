/* dispatch_test: what becomes of frames, good and bad. */
#include "broker/dispatch.h"

#include "base/buf.h"
#include "base/test.h"
#include "protocol/messages.h"

static const struct api_handler metadata_fake = {.key = API_METADATA, .min_version = 0, .max_version = 12};
static const struct api_handler versions_fake = {.key = API_API_VERSIONS, .min_version = 0, .max_version = 4};

static const struct api_handler *find_fake(int16_t key)
{
	return key == API_METADATA ? &metadata_fake : key == API_API_VERSIONS ? &versions_fake : NULL;
}

static bool decode(struct request *rq, struct bytes frame, char *why)
{
	struct blob *blob = test_calloc(1, sizeof(*blob));
	uint8_t *copy = test_malloc(frame.size + 1);

	memcpy(copy, frame.data, frame.size);
	*blob = (struct blob){.data = copy, .size = frame.size};
	*rq = (struct request){.frame = blob};
	arena_init(&rq->arena, 100000);
	return dispatch_decode(rq, find_fake, why);
}

static void fini(struct request *rq)
{
	arena_fini(&rq->arena);
	test_free(rq->frame->data);
	test_free(rq->frame);
}

static void put_request(struct buf *b, int16_t key, int16_t version, const char *rest, size_t size)
{
	buf_init(b, 1000);
	buf_put_i16(b, key);
	buf_put_i16(b, version);
	buf_put_i32(b, 7);
	buf_put_i16(b, 2);
	buf_put_str(b, "me");
	buf_put(b, rest, size);
}

TEST(frames_become_requests_or_end_their_connection)
{
	static const struct {
		int16_t key, version;
		const char *rest;
		size_t size;
		const char *why; /* NULL: fine */
	} cases[] = {
		{API_METADATA, 1, "\xff\xff\xff\xff", 4, NULL},
		{API_METADATA, 1, "\xff\xff\xff\x00", 4, NULL}, /* behaviours no. 1 */
		{API_METADATA, 1, "\xff\xff\xff\xff more bytes", 15, NULL},
		{API_METADATA, 1, "\xff\xff\xff", 3, "Metadata v1 (key 3) from client \"me\": bytes that do not parse"},
		{API_METADATA, 1, "\x7f\xff\xff\xff", 4,
		 "Metadata v1 (key 3) from client \"me\": larger than its maximum"},
		{API_METADATA, 13, "\0", 1, "Metadata v13 (key 3) from client \"me\": this version is not served"},
		{API_METADATA, -1, "", 0, "Metadata v-1 (key 3) from client \"me\": this version is not served"},
		{API_SASL_HANDSHAKE, 0, "", 0, "SaslHandshake v0 (key 17) from client \"me\": this API is not served"},
		{999, 0, "", 0, "unknown v0 (key 999) from client \"me\": this API is not served"},
		{-5, 0, "", 0, "unknown v0 (key -5) from client \"me\": this API is not served"},
	};

	for (size_t i = 0; i < countof(cases); i++) {
		char why[DISPATCH_WHY_SIZE] = "";
		struct request rq;
		struct buf frame;

		put_request(&frame, cases[i].key, cases[i].version, cases[i].rest, cases[i].size);
		CHECK_EQ(decode(&rq, buf_bytes(&frame), why), cases[i].why == NULL);
		if (cases[i].why)
			CHECK_STR(why, cases[i].why);
		else
			CHECK_EQ(rq.header.correlation_id, 7);
		fini(&rq);
		buf_fini(&frame);
	}
}

TEST(an_unknown_version_of_api_versions_is_answered_in_version_0)
{
	static const int16_t versions[] = {99, -1, 5};

	for (size_t i = 0; i < countof(versions); i++) {
		char why[DISPATCH_WHY_SIZE];
		struct request rq;
		struct buf frame;

		put_request(&frame, API_API_VERSIONS, versions[i], "\0", 1);
		CHECK(decode(&rq, buf_bytes(&frame), why));
		CHECK(rq.body == NULL);
		CHECK_EQ(rq.header.api_version, 0);
		fini(&rq);
		buf_fini(&frame);
	}
}

TEST(a_frame_that_is_cut_anywhere_in_its_header_is_refused)
{
	struct buf frame;

	put_request(&frame, API_METADATA, 1, "\xff\xff\xff\xff", 4);
	for (size_t size = 0; size < frame.size; size++) {
		char why[DISPATCH_WHY_SIZE] = "";
		struct request rq;

		CHECK(!decode(&rq, bytes_of(frame.data, size), why));
		CHECK(why[0] != '\0');
		fini(&rq);
	}
	buf_fini(&frame);
}
