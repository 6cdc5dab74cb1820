#!/usr/bin/env python3
"""Holds the tree to its rules. Prints a line for every breach, then PASS or FAIL for each rule.

  layers     a file includes, and an object uses, only modules that tools/layers.txt grants its own
  headers    every header compiles alone, and twice
  system     only runtime/linux calls the operating system; cli and cmd may use files and the terminal besides
  globals    no object has variables of static lifetime; tables are const
  await      who calls a function whose name ends in _await has such a name too, or is a fiber's entry: _main, _fiber
  readme     every folder with sources has a README.md

Calls and globals are read from the object files that compile_commands.json names, so a macro or a changed name hides
nothing; build first. Test, fuzz and bench sources see everything and are held to layers, system and globals by nobody.
`--longest` adds the ten longest functions and files, which is taste and fails nobody.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys

TEST_SOURCE = re.compile(r"(_test|_fuzz|_bench|/test_main)\.c$|(^|/)base/test\.h$")
SOURCE_SUFFIXES = (".c", ".h", ".py", ".sh", ".md", ".js", ".go", ".java", ".schema")
README_ROOTS = ("src", "sim", "tests", "tools", "docs")
HEADER_ROOTS = ("include", "src", "sim")

# What the compiler and its instrumentation call by themselves.
COMPILER = re.compile(r"^(__(asan|ubsan|tsan|sanitizer|gcov|sancov|odr_asan|lsan)_.*|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
                      r"|__tls_get_addr|_Unwind_.*|__(u?div|u?mod|mul|pop|c[tl]z|bswap)\w*[tds]i[0-9]|mcount|__fentry__)$")

# The part of the C library that only computes. Whatever is not named here belongs to runtime/linux.
COMPUTES = re.compile(r"^(mem(chr|rchr|cmp|cpy|move|set|mem|pcpy)|__mem(cpy|move|set|pcpy)_chk|rawmemchr|bcmp"
                      r"|str(n?len|n?cmp|n?casecmp|r?chr|chrnul|str|spn|cspn|pbrk|n?cpy|toll?|toull?|tod|toimax|toumax)"
                      r"|__isoc(99|23)_(strto\w+|v?sscanf)|sscanf|__strn?cpy_chk"
                      r"|v?snprintf|__v?snprintf_chk|qsort|qsort_r|bsearch|abort"
                      r"|is(alnum|alpha|digit|print|space|upper|lower|xdigit|punct|graph|cntrl)|to(upper|lower)"
                      r"|__ctype_(b|tolower|toupper)_loc|__errno_location"
                      r"|(fabs|floor|ceil|round|l?lround|trunc|sqrt|cbrt|pow|exp|exp2|expm1|log|log2|log10|log1p|fmod|ldexp"
                      r"|frexp|modf|sin|cos|tan|atan2?|hypot|nearbyint|l?lrint|rint|f?isnan|__isnan|__isinf|__finite)f?"
                      r"|gmtime_r|timegm|explicit_bzero|__explicit_bzero_chk)$")

# Libraries that compute, by the module they are granted to.
LIBRARIES = {
    "base": re.compile(r"^crc32_iscsi$"),
    "http": re.compile(r"^http_(parser|should)_.*$"),
    "record": re.compile(r"^(LZ4F?_.*|ZSTD_.*|snappy_.*|isal_.*|crc32.*|adler32.*|(in|de)flate.*|compressBound)$"),
    "regex": re.compile(r"^(_ZN?K?3re2.*|_ZNK3re2.*|_Zn[aw]m|_Zd[al]Pvm?|_ZS.*|_ZNKS.*|_ZNS.*|_ZTV.*|__gxx_personality_v0)$"),
    "runtime": re.compile(r"^(make|jump|ontop)_fcontext$"),
}

# Single files that may call more, each for the reason that its first comment gives.
FILES = {
    "src/base/alloc.c": re.compile(r"^(malloc|calloc|realloc|free|aligned_alloc|posix_memalign)$"),
    "sim/memory.c": re.compile(r"^__real_(malloc|calloc|realloc|free)$"),
    "sim/main.c": re.compile(r"^fork$"),
    "src/base/must.c": re.compile(r"^(stderr|v?fprintf|__v?fprintf_chk|fputs|fputc|fwrite|fflush)$"),
}

# The only variables of static lifetime, by file: malloc has no argument that could carry whose memory it is.
GLOBALS = {
    "sim/memory.c": ("current",),
}

SYSTEM_MODULES = ("runtime/linux",)
TERMINAL_MODULES = ("cli", "cmd")  # files and the terminal, but none of these
TERMINAL_FILES = ("sim/main.c",)
BEYOND_TERMINAL = re.compile(r"^(socket|socketpair|connect|bind|listen|accept4?|send(to|msg|mmsg|file)?|recv(from|msg|mmsg)?"
                             r"|epoll_.*|io_uring_.*|pthread_.*|thrd_.*|mtx_.*|s?rand(om)?(_r)?|[dlmejn]+rand48|getrandom"
                             r"|v?fork|clone|system|popen|getaddrinfo)$")


class Tree:
    def __init__(self, root, build):
        self.root = os.path.abspath(root)
        self.build = os.path.abspath(build) if build else None
        self.grants = read_layers(os.path.join(self.root, "tools", "layers.txt"))
        self.files = list_files(self.root)

    def path(self, name):
        return os.path.join(self.root, name)

    def text(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def module_of(self, name):
        """The module that a path such as src/broker/handle/fetch.c belongs to; None outside of modules."""
        folder = os.path.dirname(name)
        folder = folder[len("src/"):] if folder.startswith("src/") else folder if folder.split("/")[0] == "sim" else ""
        while folder and folder not in self.grants:
            folder = os.path.dirname(folder)
        return folder or None

    def sources(self):
        return [name for name in self.files if name.endswith((".c", ".h")) and name.startswith(("src/", "sim/"))]


def read_layers(path):
    grants = {}
    with open(path, encoding="utf-8") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                module, _, names = line.partition(":")
                grants[module.strip()] = names.split()
    return grants


def list_files(root):
    """What git knows or would add; all files where there is no git."""
    if os.path.exists(os.path.join(root, ".git")):
        done = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=root, check=True,
                              capture_output=True, text=True)
        return sorted({name for name in done.stdout.splitlines() if os.path.exists(os.path.join(root, name))})
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in ("build", "data", "__pycache__")]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(names)


# --- layers ----------------------------------------------------------------------------------------------------------

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+"([^"]+)"', re.MULTILINE)


def include_breach(tree, name, module, included):
    """Why `name` of `module` may not include `included`; None where it may."""
    if "/" not in included:
        return f'{name}: includes "{included}" without its folder'
    if included.startswith("moldau/"):
        if module == "client" or "client" in tree.grants[module]:
            return None
        return f"{name}: {module} may not use the client's public headers ({included})"
    other = tree.module_of(included if included.startswith("sim/") else "src/" + included)
    if other is None:
        return f"{name}: {included} belongs to no module of tools/layers.txt"
    if other != module and other not in tree.grants[module]:
        return f"{name}: {module} may not use {other} ({included})"
    return None


def check_layers(tree, objects):
    breaches = []
    for module, granted in tree.grants.items():
        for other in granted:
            if other not in tree.grants:
                breaches.append(f"tools/layers.txt: {module} uses {other}, which is not there")
    for name in tree.sources():
        module = tree.module_of(name)
        if module is None:
            breaches.append(f"{name}: its folder is no module of tools/layers.txt")
        elif not TEST_SOURCE.search(name):
            for included in INCLUDE.findall(tree.text(name)):
                breaches.append(include_breach(tree, name, module, included))
    for name in tree.files:
        if name.startswith("include/") and name.endswith(".h"):
            for included in INCLUDE.findall(tree.text(name)):
                if not included.startswith("moldau/"):
                    breaches.append(f"{name}: a public header may not show {included}")
    breaches = [breach for breach in breaches if breach]
    return breaches + symbol_breaches(tree, objects)


def symbol_breaches(tree, objects):
    """A declaration copied by hand would pass the includes; the symbol that it links to does not. And a name that two
    sources define means one or the other, as the linker meets them."""
    homes = collections.defaultdict(dict)
    for one in objects:
        for symbol in one.defined:
            homes[symbol][one.source] = one.module
    breaches = [f"{' and '.join(sorted(home))}: both define {symbol}" for symbol, home in homes.items()
                if len(home) > 1 and symbol != "main"]
    for one in objects:
        for symbol in one.undefined:
            modules = set(homes.get(symbol, {}).values())
            if modules and not modules & {one.module, *tree.grants[one.module]}:
                breaches.append(f"{one.source}: {one.module} may not use {min(modules)} ({symbol}())")
    return breaches


# --- headers ---------------------------------------------------------------------------------------------------------

def compile_header(tree, name):
    included = re.sub(r"^(src|include)/", "", name)
    command = ["gcc", "-std=gnu17", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Wstrict-prototypes", "-Wundef",
               "-Wno-unused-function", "-Werror", "-x", "c", "-"]
    for folder in ("src", "include", "."):
        command.insert(1, "-I" + tree.path(folder))
    if tree.build:
        command.insert(1, "-I" + os.path.join(tree.build, "generated"))
    done = subprocess.run(command, input=f'#include "{included}"\n#include "{included}"\n', capture_output=True, text=True)
    if done.returncode == 0:
        return None
    errors = [line for line in done.stderr.splitlines() if "error:" in line]
    return f"{name}: does not compile alone: {errors[0] if errors else done.stderr.strip()}"


def check_headers(tree, _objects):
    headers = [name for name in tree.files if name.endswith(".h") and name.split("/")[0] in HEADER_ROOTS]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return [breach for breach in pool.map(lambda name: compile_header(tree, name), headers) if breach]


# --- objects ---------------------------------------------------------------------------------------------------------

OUTPUT = re.compile(r" -o (\S+\.o) ")
Object = collections.namedtuple("Object", "source module defined undefined variables")
NM_LINE = re.compile(r"^([^|]*)\|[^|]*\|\s*(\S)\s*\|\s*(\S+)\s*\|[^|]*\|[^|]*\|\s*(\S*)")
VARIABLE_SECTION = re.compile(r"^(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\.ldata|\.lbss|\*COM\*)")


def read_object(source, module, path):
    listed = subprocess.run(["nm", "--format=sysv", path], check=True, capture_output=True, text=True).stdout
    defined, undefined, variables = [], [], []
    for found in filter(None, map(NM_LINE.match, listed.splitlines())):
        symbol, kind, section = found[1].strip(), found[2], found[4]
        if kind in "Uw" and section in ("", "*UND*"):
            undefined.append(symbol)
            continue
        if kind.isupper():
            defined.append(symbol)
        if kind == "C" or (kind in "bBdDgGsS" and VARIABLE_SECTION.match(section)):
            if not COMPILER.match(symbol) and not symbol.startswith(("__gcov", "__odr_asan", ".L")):
                variables.append(symbol)
    return Object(source, module, defined, undefined, variables)


def read_objects(tree):
    """The objects of all module sources that the build knows, and a breach for each that is not there."""
    database = os.path.join(tree.build, "compile_commands.json")
    if not os.path.exists(database):
        return [], [f"{database} is not there: build first"]
    with open(database, encoding="utf-8") as file:
        commands = json.load(file)
    wanted, missing = {}, []
    for command in commands:
        source = os.path.relpath(command["file"], tree.root)
        generated = os.path.relpath(command["file"], os.path.join(tree.build, "generated"))
        name = source if generated.startswith("..") else "src/" + generated
        module = tree.module_of(name)
        output = os.path.join(command["directory"], OUTPUT.search(command["command"])[1])
        if module is None or TEST_SOURCE.search(source) or not os.path.exists(command["file"]):
            continue
        if os.path.exists(output):
            wanted[name] = (module, output)
        else:
            missing.append(f"{source}: not built, so nobody knows what it calls; build first")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(lambda item: read_object(item[0], *item[1]), sorted(wanted.items())))
    return objects, missing


def may_call(source, module, symbol):
    if module in SYSTEM_MODULES or COMPILER.match(symbol) or COMPUTES.match(symbol):
        return True
    if source in FILES and FILES[source].match(symbol):
        return True
    if module in TERMINAL_MODULES or source in TERMINAL_FILES:
        return not BEYOND_TERMINAL.match(symbol)
    return module in LIBRARIES and bool(LIBRARIES[module].match(symbol))


def check_system(_tree, objects):
    ours = {symbol for one in objects for symbol in one.defined}
    return [f"{one.source}: {one.module} may not call {symbol}(): no module defines it and it does more than compute, "
            "so it belongs to src/runtime/linux"
            for one in objects for symbol in one.undefined
            if symbol not in ours and not may_call(one.source, one.module, symbol)]


def check_globals(_tree, objects):
    return [f"{one.source}: {symbol} is a mutable global" for one in objects for symbol in one.variables
            if symbol not in GLOBALS.get(one.source, ())]


# --- await -----------------------------------------------------------------------------------------------------------

TOKEN = re.compile(r"""(?P<skip>//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
                     |(?P<define>^[ \t]*\#(?:\\\n|/\*.*?\*/|[^\n])*)
                     |(?P<word>[A-Za-z_]\w*)|(?P<mark>[{}();=\[\],])|(?P<line>\n)""", re.VERBOSE | re.DOTALL | re.MULTILINE)
DEFINE = re.compile(r"^[ \t]*#[ \t]*define[ \t]+(\w+)(.*)", re.DOTALL)
AWAIT_CALL = re.compile(r"\b(\w*_await)\s*\(")

Function = collections.namedtuple("Function", "name first_line last_line calls")


def tokens_of(text):
    """(token, line) without comments, strings and preprocessor lines; and the macros as (name, body, line)."""
    tokens, macros, line = [], [], 1
    for found in TOKEN.finditer(text):
        if found["word"] or found["mark"]:
            tokens.append((found[0], line))
        elif found["define"]:
            macro = DEFINE.match(found[0])
            if macro:
                macros.append((macro[1], macro[2], line))
        line += found[0].count("\n")
    return tokens, macros


def function_name(head):
    """The name in the tokens before a '{' at file level: the word before the last parentheses that are no attribute's."""
    depth, name, opened_by = 0, None, None
    for i, (token, _) in enumerate(head):
        if token == "(":
            if depth == 0 and i > 0:
                opened_by = head[i - 1][0]
            depth += 1
        elif token == ")":
            depth -= 1
            if depth == 0 and opened_by and opened_by not in ("__attribute__", "_Alignas", "__declspec"):
                name = opened_by
        elif token == "=" and depth == 0:
            return None
    return name if name and re.match(r"[A-Za-z_]", name) else None


def functions_of(text):
    """The functions that a source defines, with the names of what each calls, and its macros."""
    tokens, macros = tokens_of(text)
    functions, head, depth, current = [], [], 0, None
    for i, (token, line) in enumerate(tokens):
        if token == "{":
            if depth == 0:
                name = function_name(head)
                current = Function(name, head[0][1], 0, []) if name else None
            depth += 1
        elif token == "}":
            depth = max(0, depth - 1)
            if depth == 0:
                if current:
                    functions.append(current._replace(last_line=line))
                current, head = None, []
        elif depth == 0:
            head = [] if token == ";" else head + [(token, line)]
        elif current and token == "(" and re.match(r"[A-Za-z_]", tokens[i - 1][0]):
            current.calls.append(tokens[i - 1][0])
    return functions, macros


def may_suspend(name):
    return name.lower().endswith(("_await", "_main", "_fiber"))


def check_await(tree, _objects):
    breaches = []
    for name in tree.sources():
        if TEST_SOURCE.search(name):
            continue
        functions, macros = functions_of(tree.text(name))
        for function in functions:
            awaited = [call for call in function.calls if call.endswith("_await")]
            if awaited and not may_suspend(function.name) and function.name != "main":
                breaches.append(f"{name}:{function.first_line}: {function.name}() calls {awaited[0]}(), so its own name "
                                "must end in _await")
        for macro, body, line in macros:
            called = AWAIT_CALL.search(body)
            if called and not may_suspend(macro):
                breaches.append(f"{name}:{line}: the macro {macro} hides {called[1]}()")
    return breaches


# --- readme, longest -------------------------------------------------------------------------------------------------

def check_readme(tree, _objects):
    folders = set()
    for name in tree.files:
        folder = os.path.dirname(name)
        executable = os.access(tree.path(name), os.X_OK)
        if name.split("/")[0] in README_ROOTS and folder and (name.endswith(SOURCE_SUFFIXES) or executable):
            while folder:
                folders.add(folder)
                folder = os.path.dirname(folder)
    return [f"{folder}: has no README.md" for folder in sorted(folders) if folder + "/README.md" not in tree.files]


def print_longest(tree):
    functions, files = [], []
    for name in tree.sources():
        text = tree.text(name)
        files.append((text.count("\n"), name))
        if name.endswith(".c"):
            functions += [(f.last_line - f.first_line + 1, f"{name}:{f.first_line} {f.name}") for f in functions_of(text)[0]]
    for title, rows in (("longest functions", functions), ("longest files", files)):
        print(title)
        for lines, where in sorted(rows, reverse=True)[:10]:
            print(f"  {lines:5} {where}")


RULES = (
    ("layers_are_kept", check_layers),
    ("every_header_compiles_alone", check_headers),
    ("only_runtime_linux_calls_the_system", check_system),
    ("no_mutable_globals", check_globals),
    ("what_may_suspend_is_named_so", check_await),
    ("every_folder_has_a_readme", check_readme),
)


def check(tree):
    """{rule: breaches}. Without a build folder the object files are not looked at."""
    objects, missing = read_objects(tree) if tree.build else ([], [])
    found = {rule: function(tree, objects) for rule, function in RULES}
    found["only_runtime_linux_calls_the_system"] += missing
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser.add_argument("--build", required=True, help="a build folder; its object files are looked at")
    parser.add_argument("--longest", action="store_true")
    arguments = parser.parse_args()

    tree = Tree(arguments.root, arguments.build)
    found = check(tree)
    for breaches in found.values():
        for breach in sorted(set(breaches)):
            print(breach)
    for rule, breaches in found.items():
        print(f"{'FAIL' if breaches else 'PASS'} {rule}")
    if arguments.longest:
        print_longest(tree)
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
