/* lossy: files whose unsynced part dies with the process. */
#include "runtime/linux/system.h"

struct lossy *lossy_new(void)
{
	must_not_reach();
}

void lossy_free(struct lossy *l)
{
	must(!l);
}

void lossy_op_carry_out(struct file_op *op)
{
	(void)op;
	must_not_reach();
}

void lossy_call_carry_out(struct lossy *l, struct file_call *c)
{
	(void)l;
	(void)c;
	must_not_reach();
}

void lossy_file_closed(struct lossy_file *f)
{
	(void)f;
	must_not_reach();
}
