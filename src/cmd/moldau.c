/* moldau: the program: the broker and all commands. What they do is in cli/. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
	return cli_main(argc, argv);
}
