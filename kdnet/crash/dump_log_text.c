/* SPDX-License-Identifier: Apache-2.0 */
#include "kdnet/crash/dump_log_text.h"

#include <string.h>

#define SIGNATURE_LENGTH (sizeof KDNET_DUMP_LOG_SIGNATURE - 1)
#define HEX_DIGITS_MAX   16
#define ALL_NAMED        0x1fU
#define PERCENT_ALL      100U

static const char begins[] = "Dump stack initialized at UTC:";
static const char code_is[] = "#BugCheckCode";
static const char parameter_is[] = "#BugCheckP";
static const char percent_is[] = "Dumping physical memory to disk:";
static const char completed[] = "Dump completed successfully.";

bool kdnet_dump_log_find(const uint8_t *data, size_t length, size_t *at, bool *wide)
{
    for (size_t i = 0; i + SIGNATURE_LENGTH <= length; ++i) {
        size_t n = 0, step = i + 1 < length && data[i + 1] == 0 ? 2 : 1;
        while (n < SIGNATURE_LENGTH && i + step * n + step <= length &&
               data[i + step * n] == (uint8_t)KDNET_DUMP_LOG_SIGNATURE[n] && (step == 1 || data[i + 2 * n + 1] == 0))
            ++n;
        if (n < SIGNATURE_LENGTH)
            continue;
        *at = i;
        *wide = step == 2;
        return true;
    }
    return false;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

static const char *skip_blanks(const char *text)
{
    while (*text == ' ' || *text == '\t')
        ++text;
    return text;
}

/* Returns the text behind a leading word; NULL: the text does not begin with the word. */
static const char *behind(const char *text, const char *word)
{
    size_t length = strlen(word);
    return strncmp(text, word, length) == 0 ? text + length : NULL;
}

/* Parses a decimal number; NULL: no number, or too large. */
static const char *take_number(const char *text, uint64_t *out)
{
    uint64_t value = 0;
    const char *at = skip_blanks(text), *first = at;
    for (; *at >= '0' && *at <= '9'; ++at) {
        if (value > (UINT64_MAX - 9) / 10)
            return NULL;
        value = value * 10 + (uint64_t)(*at - '0');
    }
    *out = value;
    return at > first ? at : NULL;
}

/* " 0x" and up to 16 digits, and nothing behind them. */
static bool take_hex(const char *text, uint64_t *out)
{
    const char *at = behind(skip_blanks(text), "0x");
    int digits = 0;
    *out = 0;
    for (; at && digits <= HEX_DIGITS_MAX; ++at, ++digits) {
        char c = *at;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                           : -1;
        if (digit < 0)
            return digits > 0 && *at == '\0';
        *out = *out << 4 | (uint64_t)digit;
    }
    return false;
}

/* Checks a line that names the crash: the value must equal the crash's own value. */
static void take_name(struct kdnet_dump_log_text *text, const char *behind_name, unsigned which, uint64_t own)
{
    uint64_t value;
    bool good = take_hex(behind_name, &value);
    if (text->narrow) {
        value &= UINT32_MAX;
        own &= UINT32_MAX;
    }
    if (good && value == own)
        text->named |= (uint8_t)(1U << which);
    else
        text->foreign = true;
}

static void take_pages(struct kdnet_dump_log_facts *facts, const char *at)
{
    uint64_t pages, written;
    at = take_number(at, &pages);
    at = at ? behind(skip_blanks(at), "Pages written:") : NULL;
    if (!at || !take_number(at, &written))
        return;
    facts->pages_known = true;
    facts->pages = pages;
    facts->pages_written = written;
}

static void take_size(struct kdnet_dump_log_facts *facts, const char *at)
{
    uint64_t type, size;
    at = take_number(at, &type);
    at = at ? behind(at, ", Total Dump Size:") : NULL;
    if (!at || !take_number(at, &size) || type > UINT32_MAX)
        return;
    facts->size_known = true;
    facts->type = (uint32_t)type;
    facts->size = size;
}

static void take_percent(struct kdnet_dump_log_facts *facts, const char *at)
{
    uint64_t percent;
    at = take_number(at, &percent);
    if (!at || *at != '%' || percent > PERCENT_ALL)
        return;
    facts->percent_known = true;
    facts->percent = (uint32_t)percent;
}

/* The following lines belong to another dump than the lines before. */
static void begin_dump(struct kdnet_dump_log_text *text)
{
    struct kdnet_dump_log_facts *facts = &text->facts;
    text->named = 0;
    facts->percent_known = facts->pages_known = facts->size_known = false;
}

static void take_line(struct kdnet_dump_log_text *text)
{
    const char *line = skip_blanks(text->line), *at;
    struct kdnet_dump_log_facts *facts = &text->facts;
    text->last = strcmp(line, completed) == 0;
    memcpy(facts->last_line, text->line, sizeof facts->last_line - 1);
    facts->last_line[sizeof facts->last_line - 1] = '\0';
    if (behind(line, begins))
        begin_dump(text);
    else if ((at = behind(line, code_is)) != NULL)
        take_name(text, at, 0, text->bugcheck.code);
    else if ((at = behind(line, parameter_is)) != NULL && *at >= '1' && *at <= '4')
        take_name(text, at + 1, (unsigned)(*at - '0'), text->bugcheck.parameters[*at - '1']);
    else if ((at = behind(line, percent_is)) != NULL)
        take_percent(facts, at);
    else if ((at = behind(line, "Total pages:")) != NULL)
        take_pages(facts, at);
    else if ((at = behind(line, "Dump Type:")) != NULL)
        take_size(facts, at);
}

/* The line is whole. */
static void end_line(struct kdnet_dump_log_text *text)
{
    while (text->length > 0 && text->line[text->length - 1] == ' ')
        --text->length;
    memset(text->line + text->length, 0, sizeof text->line - text->length);
    if (text->length > 0)
        take_line(text);
    text->length = 0;
}

/* --- bytes -------------------------------------------------------------------------------------------------------- */

static void take_character(struct kdnet_dump_log_text *text, unsigned c)
{
    bool printable = (c >= ' ' && c < 0x7f) || c == '\t';
    if (c == '\r' || c == '\n' || c == 0)
        end_line(text);
    text->over = !printable && c != '\r' && c != '\n';
    if (!printable)
        return;
    text->last = false; /* nothing is known yet of lines after a final line */
    if (text->length < sizeof text->line - 1)
        text->line[text->length++] = (char)c;
}

void kdnet_dump_log_text_begin(struct kdnet_dump_log_text *text, const struct kdnet_bugcheck *bugcheck, bool narrow,
                               bool wide)
{
    memset(text, 0, sizeof *text);
    text->bugcheck = *bugcheck;
    text->narrow = narrow;
    text->wide = wide;
}

bool kdnet_dump_log_text_give(struct kdnet_dump_log_text *text, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length && !text->over; ++i) {
        if (!text->wide) {
            take_character(text, data[i]);
        } else if (text->half_known) {
            take_character(text, (unsigned)data[i] << 8 | text->half);
            text->half_known = false;
        } else {
            text->half = data[i];
            text->half_known = true;
        }
    }
    return !text->over;
}

bool kdnet_dump_log_text_matches(const struct kdnet_dump_log_text *text)
{
    return text->bugcheck.code != 0 && text->named == ALL_NAMED && !text->foreign;
}

bool kdnet_dump_log_text_completed(const struct kdnet_dump_log_text *text)
{
    return text->over && text->last && kdnet_dump_log_text_matches(text);
}
