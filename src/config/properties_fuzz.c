/* properties_fuzz: any bytes as a properties file; afterwards everything can be asked for. */
#include "base/arena.h"
#include "config/listeners.h"
#include "config/topic_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *c = config_new();
	struct config_layers l = {.config = c};
	struct listener_specs specs = {0};
	struct topic_settings s;
	struct buf message;

	buf_init(&message, 1000);
	if (config_load_properties(c, bytes_of(data, size), "fuzz", NULL) == OK) {
		if (config_validate(c, &message) == OK && listeners_parse(c, &message, &specs) == OK)
			listeners_free(&specs);
		topic_settings_of(&l, &s);
	}
	buf_fini(&message);
	config_free(c);
	return 0;
}
