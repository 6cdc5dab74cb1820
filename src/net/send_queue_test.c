/* send_queue_test: pieces go out in order, in whatever portions, and what they hold goes with them. */
#include "net/send_queue.h"

#include "base/alloc.h"
#include "base/test.h"

static struct send_piece piece(const char *text)
{
	char *copy = mem_strdup(text);

	return (struct send_piece){.bytes = bytes_str(copy), .memory = copy};
}

static struct send_queue queue_of_three(void)
{
	struct send_queue q;
	struct send_piece pieces[] = {piece("abc"), piece(""), piece("defgh")};

	send_queue_init(&q, NULL);
	send_queue_push_take(&q, pieces, countof(pieces));
	return q;
}

TEST(every_portion_gives_the_same_bytes)
{
	for (size_t portion = 1; portion <= 8; portion++) {
		struct send_queue q = queue_of_three();
		char got[9] = "";
		size_t have = 0;

		while (q.size_bytes > 0) {
			struct bytes parts[2];
			size_t n = send_queue_parts(&q, parts, countof(parts)), count;

			CHECK(n > 0);
			count = parts[0].size < portion ? parts[0].size : portion;
			memcpy(got + have, parts[0].data, count);
			have += count;
			send_queue_sent(&q, count);
		}
		CHECK_STR(got, "abcdefgh");
		CHECK(q.pieces == NULL);
		send_queue_fini(&q);
	}
}

TEST(several_pieces_leave_at_once)
{
	struct send_queue q = queue_of_three();
	struct bytes parts[8];

	CHECK_EQ(send_queue_parts(&q, parts, countof(parts)), 2);
	send_queue_sent(&q, 5);
	CHECK_EQ(send_queue_parts(&q, parts, countof(parts)), 1);
	CHECK_BYTES(parts[0], bytes_str("fgh"));
	send_queue_sent(&q, 3);
	CHECK_EQ(send_queue_parts(&q, parts, countof(parts)), 0);
	CHECK_EQ(q.size_bytes, 0);
}

TEST(an_empty_queue_holds_no_memory)
{
	struct send_queue q;
	struct send_piece release_only = piece("");

	send_queue_init(&q, NULL);
	send_queue_push_take(&q, &release_only, 1);
	CHECK(q.pieces == NULL);
	send_queue_fini(&q);
}

TEST(what_is_pushed_while_sending_comes_behind)
{
	struct send_queue q = queue_of_three();
	struct bytes parts[8];

	for (int i = 0; i < 100; i++) {
		struct send_piece more = piece("xy");

		send_queue_sent(&q, 2);
		send_queue_push_take(&q, &more, 1);
	}
	CHECK_EQ(q.size_bytes, 8);
	CHECK(q.capacity < 64); /* what left made room */
	CHECK_EQ(send_queue_parts(&q, parts, countof(parts)), 4);
	send_queue_fini(&q);
}

struct lent {
	struct blob blob;
	int over;
};

static void lent_over(struct blob *b)
{
	container_of(b, struct lent, blob)->over++;
}

/* What lies in a file comes alone, behind what lies in memory before it, and its file is held until its last byte is gone. */
TEST(parts_of_files_keep_their_place)
{
	struct file *file = (struct file *)(uintptr_t)64; /* never looked at */
	struct file_range range = {file, 1000, 10}, got;
	struct lent lent = {0};
	struct send_queue q;
	struct send_piece pieces[] = {piece("abc"),
				      {.bytes = {.size = 10}, .file = file, .position = 1000},
				      {.blob = &lent.blob},
				      piece("de")};
	struct bytes parts[8];

	blob_init_file(&lent.blob, NULL, &range, lent_over);
	send_queue_init(&q, NULL);
	send_queue_push_take(&q, pieces, countof(pieces));
	CHECK_EQ(q.size_bytes, 15);
	CHECK_EQ(send_queue_next(&q, parts, 1, &got), 1);
	CHECK(!got.file); /* no room to look further */
	CHECK_EQ(send_queue_next(&q, parts, countof(parts), &got), 1);
	CHECK_BYTES(parts[0], bytes_str("abc"));
	CHECK(got.file == file && got.position == 1000 && got.size == 10);
	send_queue_sent(&q, 7);
	CHECK_EQ(send_queue_next(&q, parts, countof(parts), &got), 0);
	CHECK(got.file == file && got.position == 1004 && got.size == 6);
	send_queue_sent(&q, 5);
	CHECK_EQ(lent.over, 0);
	send_queue_sent(&q, 1);
	CHECK_EQ(lent.over, 1);
	CHECK_EQ(send_queue_next(&q, parts, countof(parts), &got), 1);
	CHECK(!got.file);
	CHECK_BYTES(parts[0], bytes_str("de"));
	send_queue_fini(&q);
}
