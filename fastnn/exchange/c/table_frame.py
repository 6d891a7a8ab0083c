"""What stands around the steps in the C file of a model for tables: its use, names, a main.

The words behind ``$`` are those of `Program.text`.
"""

#: Of the head comment, in paragraphs, behind the list of columns.
USE = """\
A number that is missing is NaN. So is a missing category, or -1. Any other code than those above \
is an unknown category.

To use it, compile the file with your program, declare what it defines (in C++ as extern "C"), and \
call it:

    #define ${name}_N_FEATURES $n_in
    #define ${name}_N_OUTPUTS $n_out
    void ${name}_predict(const $real *x, $real *y);

${name}_predict reads a row of $n_in numbers, x, and writes $n_out numbers, y, which must not \
overlap x. It may be called by several threads at a time: it has no other memory than its stack. \
It knows NaN, so it must not be compiled with -ffast-math.

The names of columns, categories and classes are in the file, where ${name}_NAMES is defined.

As a program, it reads a CSV table from the standard input, whose first line has the names of the \
columns, in any order, and prints CSV:

    cc -O3 -D${name}_MAIN ${name}.c -o $name -lm
    ./$name < table.csv

It is C99 and C++11, and needs nothing but libm.

On a Cortex-M4 it takes $flash bytes of flash (code and constants) and $stack bytes of stack, \
without what the functions of libm take, where it is compiled by

    $command -c ${name}.c"""

#: In its ``${name}_fields``, n is a number, b yes or no, c a category; of dates y begins with the
#: year, d with the day, m with the month.
_MAIN = """\
#ifdef ${name}_MAIN
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ${name}_MOST_COLUMNS 10000

static int ${name}_separator = 0;
static int ${name}_has_quotes = 0; /* the last field */

/* The next field without white space around it, cut off where it is longer than any name is.
   Gives what ended it. */
static int ${name}_read_field(char *text)
{
    size_t length = 0, end = 0;
    int c, previous = 0, is_quoted = 0;

    ${name}_has_quotes = 0;
    for (;;) {
        c = getchar();
        if (c == '"' && (is_quoted || length == 0 || previous == '"')) {
            is_quoted = !is_quoted;
            ${name}_has_quotes = 1;
            if (!is_quoted || previous != '"') {
                previous = c;
                continue;
            }
        }
        previous = c;
        if (c == EOF || (!is_quoted && (c == '\\n' || c == ${name}_separator)))
            break;
        if (!is_quoted && ${name}_separator == 0 && c != 0 && strchr(",;\\t|", c) != NULL) {
            ${name}_separator = c;
            break;
        }
        if ((isspace(c) && length == 0) || length == ${name}_LONGEST)
            continue;
        text[length++] = (char)c;
        if (!isspace(c))
            end = length;
    }
    if (is_quoted) {
        fprintf(stderr, "${name}: the table ends within quotes\\n");
        exit(EXIT_FAILURE);
    }
    text[end] = 0;
    return c;
}

static int ${name}_is_word(const char *text, const char *word)
{
    while (*word != 0 && tolower((unsigned char)*text) == *word) {
        text++;
        word++;
    }
    return *word == 0 && *text == 0;
}

static int ${name}_is_missing(const char *text)
{
    static const char *const words[] = {
        "", "NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "null", "NaN", "nan", "NaT",
    };
    size_t i;
    for (i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0)
            return 1;
    return 0;
}

/* Leaves out commas that stand between thousands alone; commas that separate fields are in
   quotes then. */
static void ${name}_join_thousands(char *text)
{
    const char *digits = text + strspn(text, "+-"), *from = digits;
    char *to;
    size_t n = strspn(digits, "0123456789");
    if (${name}_separator != ',' || n < 1 || n > 3 || *digits == '0' || digits[n] != ',')
        return;
    for (from += n; *from == ','; from += 4)
        if (strspn(from + 1, "0123456789") != 3)
            return;
    if (*from == '.')
        from += 1 + strspn(from + 1, "0123456789");
    if (*from != 0)
        return;
    for (from = to = text; *from != 0; from++)
        if (*from != ',')
            *to++ = *from;
    *to = 0;
}

static $real ${name}_read_number(char *text)
{
    char *point, *end;
    $real number;
    if (text[strspn(text, "0123456789+-.,eE")] != 0)
        return NAN;
    ${name}_join_thousands(text);
    point = strchr(text, ',');
    if (point != NULL)
        *point = '.';
    number = strto$letter(text, &end);
    return end == text || *end != 0 ? NAN : number;
}

static $real ${name}_read_yes_or_no(const char *text)
{
    if (${name}_is_word(text, "true") || ${name}_is_word(text, "yes"))
        return 1;
    if (${name}_is_word(text, "false") || ${name}_is_word(text, "no"))
        return 0;
    return strcmp(text, "1") == 0 ? 1 : strcmp(text, "0") == 0 ? 0 : NAN;
}

/* Days since 1970-01-01. */
static $real ${name}_read_days(const char *text, char order)
{
    static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int first = 0, second = 0, third = 0, hours = 0, minutes = 0, n_date = 0, n_time = 0;
    int n_year = 0; /* characters of the year, or before it */
    int year, month, day, y;
    float seconds = 0;
    if (order == 'y')
        sscanf(text, "%4d%n%*1[-/.]%2d%*1[-/.]%2d%n", &first, &n_year, &second, &third,
               &n_date);
    else
        sscanf(text, "%2d%*1[-/.]%2d%*1[-/.]%n%4d%n", &first, &second, &n_year, &third,
               &n_date);
    year = order == 'y' ? first : third;
    month = order == 'd' || order == 'y' ? second : first;
    day = order == 'y' ? third : order == 'd' ? first : second;
    if (n_date == 0 || (order == 'y' ? n_year : n_date - n_year) != 4)
        return NAN;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1])
        return NAN;
    if (month == 2 && day == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0)))
        return NAN;
    text += n_date;
    if (*text != 0) {
        sscanf(text, "%*1[T ]%2d:%2d%n:%2f%n", &hours, &minutes, &n_time, &seconds, &n_time);
        if (n_time == 0 || hours < 0 || hours > 23 || minutes < 0 || minutes > 59
            || !(seconds >= 0 && seconds < 60) || text[n_time + (int)strspn(text + n_time,
            "0123456789.:+-Z")] != 0)
            return NAN;
    }
    y = year - (month < 3);
    month += month < 3 ? 9 : -3;
    day += 365 * y + y / 4 - y / 100 + y / 400 + (153 * month + 2) / 5 - 719469;
    return ($real)(day + (hours * 3600 + minutes * 60 + (double)seconds) / 86400);
}

static $real ${name}_read_value(char *text, size_t column)
{
    const char kind = ${name}_fields[column].kind;
    long i;
    if (${name}_is_missing(text))
        return NAN;
    if (kind == 'n')
        return ${name}_read_number(text);
    if (kind == 'b')
        return ${name}_read_yes_or_no(text);
    if (kind != 'c')
        return ${name}_read_days(text, kind);
    for (i = 0; i < ${name}_fields[column].n_levels; i++)
        if (strcmp(text, ${name}_fields[column].levels[i]) == 0)
            break;
    return ($real)i;
}

static void ${name}_print(const char *before, const char *text)
{
    const int is_quoted = strpbrk(text, ",\\"\\r\\n") != NULL;
    if (is_quoted)
        putchar('"');
    fputs(before, stdout);
    for (; *text != 0; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    if (is_quoted)
        putchar('"');
}

int main(void)
{
    static $real x[${name}_N_FEATURES], y[${name}_N_OUTPUTS];
    static int columns[${name}_MOST_COLUMNS];
    static char text[${name}_LONGEST + 1], is_there[${name}_N_FEATURES];
    size_t n_columns = 0, n, i, best;
    unsigned long row = 0;
    int c = getchar();

    if (c == 0xEF) { /* the mark of UTF-8 */
        getchar();
        getchar();
    } else {
        ungetc(c, stdin);
    }
    do {
        c = ${name}_read_field(text);
        if (n_columns == ${name}_MOST_COLUMNS) {
            fprintf(stderr, "${name}: the table has more than %d columns\\n", ${name}_MOST_COLUMNS);
            return EXIT_FAILURE;
        }
        columns[n_columns] = -1;
        for (i = 0; i < ${name}_N_FEATURES; i++) {
            if (strcmp(text, ${name}_columns[i]) == 0) {
                if (is_there[i]) {
                    fprintf(stderr, "${name}: the table has the column '%s' twice\\n", text);
                    return EXIT_FAILURE;
                }
                columns[n_columns] = (int)i;
                is_there[i] = 1;
            }
        }
        n_columns++;
    } while (c != '\\n' && c != EOF);
    if (${name}_separator == 0)
        ${name}_separator = '\\n';
    for (i = 0; i < ${name}_N_FEATURES; i++) {
        if (!is_there[i]) {
            fprintf(stderr, "${name}: the table has no column '%s'\\n", ${name}_columns[i]);
            return EXIT_FAILURE;
        }
    }
    ${name}_print("", ${name}_target);
HEADER    putchar('\\n');
    while (c != EOF) {
        n = 0;
        row++;
        do {
            c = ${name}_read_field(text);
            if (n == 0 && text[0] == 0 && !${name}_has_quotes && (c == '\\n' || c == EOF))
                break;
            if (n < n_columns && columns[n] >= 0)
                x[columns[n]] = ${name}_read_value(text, (size_t)columns[n]);
            n++;
        } while (c != '\\n' && c != EOF);
        if (n == 0) {
            row--;
            continue;
        }
        if (n != n_columns) {
            fprintf(stderr, "${name}: row %lu has %lu fields in the place of %lu\\n", row,
                    (unsigned long)n, (unsigned long)n_columns);
            return EXIT_FAILURE;
        }
        ${name}_predict(x, y);
        for (i = 1, best = 0; i < ${name}_N_OUTPUTS; i++)
            best = y[i] > y[best] ? i : best;
ROW        putchar('\\n');
    }
    return ferror(stdin) || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
#endif
"""

_CLASSES_HEADER = """\
    for (i = 0; i < ${name}_N_OUTPUTS; i++) {
        putchar(',');
        ${name}_print("probability of ", ${name}_classes[i]);
    }
"""
_CLASSES_ROW = """\
        ${name}_print("", ${name}_classes[best]);
        for (i = 0; i < ${name}_N_OUTPUTS; i++)
            printf(",%.${digits}g", (double)y[i]);
"""
_NUMBER_ROW = """\
        printf("%.${digits}g", (double)y[best]);
"""


def main_of(has_classes: bool) -> str:
    """The program of a model with classes, or of one with a number."""
    header, row = (_CLASSES_HEADER, _CLASSES_ROW) if has_classes else ("", _NUMBER_ROW)
    return _MAIN.replace("HEADER", header).replace("ROW", row)
