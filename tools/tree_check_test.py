#!/usr/bin/env python3
"""Each rule of the tree check must report a tree that breaks it, and leave a good one alone."""
import json
import os
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tree_check  # noqa: E402

LAYERS = "# fixture\nbase:\nstorage: base\nruntime: base\nruntime/linux: base runtime\nclient: base\ncli: base client\nsim: base\n"

GOOD = {
    "tools/layers.txt": LAYERS,
    "tools/README.md": "",
    "src/README.md": "",
    "src/base/README.md": "",
    "src/base/number.h": "#ifndef N_H\n#define N_H\nint number(void);\n#endif\n",
    "src/base/number.c": '#include "base/number.h"\nint number(void) { return 1; }\n',
    "src/storage/README.md": "",
    "src/storage/log.h": '#ifndef L_H\n#define L_H\nint log_size(const char *s);\n#endif\n',
    "src/storage/log.c": '#include "storage/log.h"\n#include <string.h>\n#include "base/number.h"\n'
                         "static const char *const names[] = {\"a\", \"b\"};\n"
                         "int log_size(const char *s) { return number() + (int)strlen(s) + names[number()][0]; }\n",
}


def breaches(rule, changes):
    """What `rule` says of the good tree with `changes` applied: {path: text, or None for no such file}."""
    with tempfile.TemporaryDirectory() as root:
        build = os.path.join(root, "build")
        os.mkdir(build)
        commands = []
        for name, text in {**GOOD, **changes}.items():
            if text is None:
                continue
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            if name.endswith(".c"):
                output = os.path.join(build, name.replace("/", "_") + ".o")
                commands.append({"directory": root, "file": path,
                                 "command": f"gcc -I{root}/src -I{root} -fPIC -O1 -w -o {output} -c {path}"})
        for command in commands:
            subprocess.run(command["command"].split(), check=True)
        with open(os.path.join(build, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(commands, file)
        return tree_check.check(tree_check.Tree(root, build))[rule]


class TreeCheck(unittest.TestCase):
    def reports(self, rule, changes, *words):
        found = breaches(rule, changes)
        self.assertEqual(len(found), 1, found)
        for word in words:
            self.assertIn(word, found[0])

    def accepts(self, rule, changes):
        self.assertEqual(breaches(rule, changes), [])

    def test_a_good_tree_has_no_breach(self):
        for rule, _ in tree_check.RULES:
            self.accepts(rule, {})

    # layers

    def test_an_include_against_the_layers_is_reported(self):
        self.reports("layers_are_kept", {"src/base/up.c": '#include "storage/log.h"\n'},
                     "src/base/up.c", "base may not use storage")

    def test_a_symbol_used_against_the_layers_is_reported_without_its_include(self):
        self.reports("layers_are_kept", {"src/base/up.c": "int log_size(const char *s); int up(void) { return log_size(0); }\n"},
                     "base may not use storage", "log_size()")

    def test_a_name_that_two_modules_define_is_reported(self):
        self.reports("layers_are_kept", {"src/storage/again.c": "int number(void) { return 2; }\n"},
                     "src/base/number.c and src/storage/again.c", "number")
        self.accepts("layers_are_kept", {name: "int main(void) { return 0; }\n" for name in ("src/cli/a.c", "src/cli/b.c")})

    def test_an_include_without_its_folder_is_reported(self):
        self.reports("layers_are_kept", {"src/base/near.c": '#include "number.h"\n'}, "without its folder")

    def test_runtime_may_not_include_its_own_linux(self):
        self.reports("layers_are_kept", {"src/runtime/linux/ring.h": "", "src/runtime/r.c": '#include "runtime/linux/ring.h"\n'},
                     "runtime may not use runtime/linux")

    def test_a_folder_that_is_no_module_is_reported(self):
        self.reports("layers_are_kept", {"src/utils/u.c": "int u(void) { return 1; }\n"}, "no module")

    def test_a_test_may_see_what_it_likes(self):
        self.accepts("layers_are_kept", {"src/base/number_test.c": '#include "storage/log.h"\n'})

    def test_a_public_header_that_shows_the_inside_is_reported(self):
        self.reports("layers_are_kept", {"include/moldau/moldau.h": '#include "base/number.h"\n'}, "may not show")

    def test_only_users_of_the_client_see_its_public_headers(self):
        include = '#include "moldau/moldau.h"\n'
        header = {"include/moldau/moldau.h": ""}
        commands = {"src/cli/c.c": "int unused;\n", "src/storage/s.h": include}
        self.reports("layers_are_kept", {**header, **commands}, "storage may not use the client's public headers")
        self.accepts("layers_are_kept", {**header, "src/cli/c.h": include})

    # headers

    def test_a_header_that_needs_another_before_it_is_reported(self):
        self.reports("every_header_compiles_alone", {"src/base/size.h": "size_t size(void);\n"}, "src/base/size.h")

    def test_a_header_without_a_guard_is_reported(self):
        self.reports("every_header_compiles_alone", {"src/base/twice.h": "enum { ONE };\n"}, "src/base/twice.h")

    # system

    def test_a_system_call_outside_runtime_linux_is_reported(self):
        for call in ("open(0, 0)", "read(0, 0, 0)", "socket(0, 0, 0)", "pthread_create(0, 0, 0, 0)", "clock_gettime(0, 0)",
                     "time(0)", "rand()", "getenv(0)", "malloc(1)", "printf(\"%d\", 1)", "usleep(1)", "getpid()"):
            name = call.partition("(")[0]
            source = f"long {name}(); long caller(void) {{ return (long){name}{call[len(name):]}; }}\n"
            with self.subTest(call=call):
                self.reports("only_runtime_linux_calls_the_system", {"src/storage/bad.c": source},
                             "src/storage/bad.c", f"{name}()")

    def test_a_system_call_behind_a_pointer_or_a_macro_is_reported(self):
        source = "int open(const char *, int, ...);\n#define O(p) ope##n(p, 0)\nint f(void) { return O(0); }\n"
        self.reports("only_runtime_linux_calls_the_system", {"src/storage/bad.c": source}, "open()")
        source = "int open(const char *, int, ...);\nint (*const table[])(const char *, int, ...) = {open};\n"
        self.reports("only_runtime_linux_calls_the_system", {"src/storage/bad.c": source}, "open()")

    def test_runtime_linux_may_call_the_system(self):
        self.accepts("only_runtime_linux_calls_the_system",
                     {"src/runtime/linux/f.c": "int open(const char *, int, ...); int f(void) { return open(0, 0); }\n"})

    def test_memory_comes_from_alloc_alone(self):
        source = "void *malloc(unsigned long); void *get(void) { return malloc(8); }\n"
        self.accepts("only_runtime_linux_calls_the_system", {"src/base/alloc.c": source})
        self.reports("only_runtime_linux_calls_the_system", {"src/base/other.c": source}, "malloc()")

    def test_a_command_may_open_files_but_no_sockets(self):
        source = "int fopen(); int socket(); int f(void) { return fopen(0, 0) + socket(0, 0, 0); }\n"
        self.reports("only_runtime_linux_calls_the_system", {"src/cli/c.c": source}, "socket()")

    def test_a_source_without_its_object_is_reported(self):
        with tempfile.TemporaryDirectory() as root:
            for name, text in GOOD.items():
                os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
                with open(os.path.join(root, name), "w", encoding="utf-8") as file:
                    file.write(text)
            os.mkdir(os.path.join(root, "build"))
            with open(os.path.join(root, "build", "compile_commands.json"), "w", encoding="utf-8") as file:
                json.dump([{"directory": root, "file": os.path.join(root, "src/base/number.c"),
                            "command": "gcc -o number.o -c number.c"}], file)
            found = tree_check.check(tree_check.Tree(root, os.path.join(root, "build")))
        self.assertIn("not built", found["only_runtime_linux_calls_the_system"][0])

    # globals

    def test_every_kind_of_mutable_global_is_reported(self):
        for declaration in ("int counter;", "static int hidden = 3;", "_Thread_local int mine;", "const char *name = \"x\";"):
            source = declaration + "\n" + "void *use(void) { return (void *)&" + {
                "int counter;": "counter", "static int hidden = 3;": "hidden", "_Thread_local int mine;": "mine",
                "const char *name = \"x\";": "name"}[declaration] + "; }\n"
            with self.subTest(declaration=declaration):
                self.reports("no_mutable_globals", {"src/storage/bad.c": source}, "src/storage/bad.c")

    def test_a_static_inside_a_function_is_reported(self):
        self.reports("no_mutable_globals", {"src/storage/bad.c": "int next(void) { static int last; return ++last; }\n"}, "last")

    def test_a_named_exception_holds_for_its_file_and_name_only(self):
        source = "static int current; int *use(void) { return &current; }\n"
        folder = {"sim/README.md": ""}
        self.accepts("no_mutable_globals", {**folder, "sim/memory.c": source})
        self.reports("no_mutable_globals", {**folder, "sim/other.c": source}, "current")
        self.reports("no_mutable_globals", {**folder, "sim/memory.c": source.replace("current", "another")}, "another")

    def test_a_constant_table_is_no_global(self):
        self.accepts("no_mutable_globals", {"src/storage/t.c": "int f(void); int f(void) { return 1; }\n"
                                            "int (*const table[])(void) = {f, f};\nconst int numbers[] = {1, 2};\n"})

    # await

    def test_a_caller_of_an_await_function_must_be_named_so(self):
        source = "int read_await(void);\n/* comment { */\nint plain(int a)\n{\n\tif (a)\n\t\treturn read_await();\n\treturn 0;\n}\n"
        self.reports("what_may_suspend_is_named_so", {"src/storage/bad.c": source + "int read_await(void) { return 1; }\n"},
                     "src/storage/bad.c:3", "plain()", "read_await()")

    def test_fiber_entries_and_await_functions_may_call_await(self):
        for name in ("fetcher_main", "fetcher_fiber", "fetcher_await"):
            source = f"int read_await(void) {{ return 1; }}\nint {name}(void)\n{{\n\treturn read_await();\n}}\n"
            self.accepts("what_may_suspend_is_named_so", {"src/storage/good.c": source})

    def test_await_in_comments_and_strings_is_no_call(self):
        source = 'const char *plain(void)\n{\n\t/* read_await() */\n\treturn "read_await()"; // read_await()\n}\n'
        self.accepts("what_may_suspend_is_named_so", {"src/storage/good.c": source})

    def test_an_attribute_does_not_hide_the_function(self):
        source = ("int read_await(void) { return 1; }\n__attribute__((noinline)) static int plain(void) __attribute__((cold))"
                  ";\nstatic __attribute__((noinline)) int plain(void)\n{\n\treturn read_await();\n}\nint (*const p)(void) = plain;\n")
        self.reports("what_may_suspend_is_named_so", {"src/storage/bad.c": source}, "plain()")

    def test_a_call_through_a_table_of_functions_counts(self):
        source = "struct ops { int (*read_await)(void); };\nint plain(struct ops *o)\n{\n\treturn o->read_await();\n}\n"
        self.reports("what_may_suspend_is_named_so", {"src/storage/bad.c": source}, "plain()", "read_await()")

    def test_a_macro_that_hides_an_await_is_reported(self):
        source = "int read_await(void);\n#define READ() \\\n\tread_await()\nint read_await(void) { return 1; }\n"
        self.reports("what_may_suspend_is_named_so", {"src/storage/bad.c": source}, "macro READ", "read_await()")

    # readme

    def test_a_folder_without_a_readme_is_reported(self):
        self.reports("every_folder_has_a_readme", {"src/base/README.md": None}, "src/base")

    def test_a_folder_of_nothing_but_corpus_needs_no_readme(self):
        self.accepts("every_folder_has_a_readme", {"tests/README.md": "", "tests/fuzz/README.md": "", "tests/fuzz/x/seed1": "\0"})


if __name__ == "__main__":
    unittest.main(verbosity=2)
