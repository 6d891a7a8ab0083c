"""What stands around the steps in the C file, whatever the model: its use, declarations, a main.

The words behind ``$`` are those of `Program.text`.
"""

#: Of the head comment, in paragraphs.
USE = """\
To use it, compile the file with your program, declare what it defines (in C++ as extern "C"), and \
call it:

    #define ${name}_N_FEATURES $n_in
    #define ${name}_N_OUTPUTS $n_out
    void ${name}_predict(const $real *x, $real *y);

${name}_predict reads a row of $n_in numbers, x, and writes $n_out numbers, y, which must not \
overlap x. It may be called by several threads at a time: it has no other memory than its stack.

As a program, it reads rows of numbers from the standard input, with commas or spaces between the \
numbers, and prints the rows that come out:

    cc -O3 -D${name}_MAIN ${name}.c -o $name -lm
    ./$name < rows.csv

It is C99 and C++11, and needs nothing but libm.

On a Cortex-M4 it takes $flash bytes of flash (code and constants) and $stack bytes of stack, \
without what the functions of libm take, where it is compiled by

    $command -c ${name}.c"""

PREAMBLE = """\
#include <math.h>
#include <stddef.h>

#define ${name}_N_FEATURES $n_in
#define ${name}_N_OUTPUTS $n_out

#ifdef __cplusplus
#define $restrict
extern "C"
#else
#define $restrict restrict
#endif
void ${name}_predict(const $real *x, $real *y);

/* Each function is compiled for itself, so that flash and stack are as stated above. */
#if defined(__GNUC__) && __GNUC__ >= 8 && !defined(__clang__)
#define $alone __attribute__((noipa))
#else
#define $alone
#endif
"""

MAIN = """\
#ifdef ${name}_MAIN
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static int ${name}_refuse(unsigned long line)
{
    fprintf(stderr, "${name}: line %lu is not a row of %d finite numbers\\n", line,
            ${name}_N_FEATURES);
    return EXIT_FAILURE;
}

int main(void)
{
    static $real x[${name}_N_FEATURES], y[${name}_N_OUTPUTS];
    char number[64], *end;
    size_t length = 0, n = 0, i;
    unsigned long line = 1;
    int c, is_behind_comma = 0;

    do {
        c = getchar();
        if (c != EOF && c != ',' && !isspace(c)) {
            if (length == sizeof number - 1)
                return ${name}_refuse(line);
            number[length++] = (char)c;
            continue;
        }
        if (length > 0) {
            number[length] = 0;
            if (n == ${name}_N_FEATURES)
                return ${name}_refuse(line);
            x[n] = strto$letter(number, &end);
            if (end != number + length || !isfinite(x[n]))
                return ${name}_refuse(line);
            n++;
            length = 0;
            is_behind_comma = 0;
        }
        if (c == ',') {
            if (n == 0 || is_behind_comma)
                return ${name}_refuse(line);
            is_behind_comma = 1;
        }
        if (c == '\\n' || c == EOF) {
            if (n != 0) {
                if (n != ${name}_N_FEATURES || is_behind_comma)
                    return ${name}_refuse(line);
                ${name}_predict(x, y);
                for (i = 0; i < ${name}_N_OUTPUTS; i++)
                    printf("%.${digits}g%c", (double)y[i], i + 1 < ${name}_N_OUTPUTS ? ' ' : '\\n');
                n = 0;
            }
            line++;
        }
    } while (c != EOF);
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
#endif
"""
