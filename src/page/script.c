#include "script.h"

void script_append_string(struct text *text, const char *string) {
    text_append(text, "\"");
    for (; *string; string++) {
        unsigned char c = (unsigned char)*string;
        if (c == '"' || c == '\\' || c < ' ')
            text_append(text, "\\u%04x", c);
        else
            text_append(text, "%c", c);
    }
    text_append(text, "\"");
}
