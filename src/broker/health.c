/* health: decides what /healthz says. Pure. */
#include "broker/observe.h"

static unsigned ready(const struct health_sums *sums, struct buf *line)
{
	buf_put_str(line, "ok");
	if (sums->offline)
		buf_printf(line, ", but %zu of %zu partitions are offline: see the log", sums->offline,
			   sums->partitions);
	return 200;
}

unsigned health_decide(const struct health_facts *f, const struct health_sums *sums, struct buf *line)
{
	size_t done = sums->partitions - sums->opening;

	if (f->stopping)
		buf_put_str(line, "stopping");
	else if (!f->serving)
		buf_printf(line, "starting: %s", f->doing);
	else if (f->offline_folder)
		buf_printf(line, "data folder %s is offline (%zu others work): see the log", f->offline_folder,
			   f->online_folders);
	else if (f->recovering && sums->opening > 0)
		buf_printf(line, "recovering: %zu of %zu partitions are done (%zu %%)", done, sums->partitions,
			   done * 100 / sums->partitions);
	else
		return ready(sums, line);
	return 503;
}
