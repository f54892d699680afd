#include "options.h"

#include "option_table.h"

#include <string.h>

/* What doesn't depend on the table. bash splits words at "=" and ":", so that "--size=3" comes as three of them. Layers
 * are those of the weights, or of the atlas, that stand on the line already. Where nothing is offered, bash goes on
 * with names of files. */
static const char head[] =
    "# bash completion for filteratlas, made by filteratlas --bash-completion\n"
    "_filteratlas_layers() {\n"
    "    local i value weights='' out='' names='' before=''\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        value=${COMP_WORDS[i + 1]}\n"
    "        [ \"$value\" = = ] && value=${COMP_WORDS[i + 2]}\n"
    "        case ${COMP_WORDS[i]} in\n"
    "        --weights) weights=${value/#\\~\\//$HOME/} ;;\n"
    "        --out) out=${value/#\\~\\//$HOME/} ;;\n"
    "        esac\n"
    "    done\n"
    "    if [ -f \"$weights\" ]; then\n"
    "        names=$(\"$program\" inspect --names \"$weights\" 2>/dev/null)\n"
    "    elif [ -d \"$out/units\" ]; then\n"
    "        names=$(ls \"$out/units\")\n"
    "    fi\n"
    "    [[ $word == *,* ]] && before=${word%,*},\n"
    "    compopt +o default 2>/dev/null\n"
    "    mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$names\" -- \"${word##*,}\")\n"
    "}\n"
    "\n"
    "_filteratlas_words() { mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$word\"); }\n"
    "\n"
    "_filteratlas() {\n"
    "    local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    COMPREPLY=()\n"
    "    if [ \"$word\" = = ]; then\n"
    "        word=''\n"
    "    elif [ \"$previous\" = = ] && [ \"$COMP_CWORD\" -gt 2 ]; then\n"
    "        previous=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "    fi\n"
    "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n";

static const char tail[] = "    esac\n"
                           "}\n"
                           "complete -o default -F _filteratlas filteratlas\n";

static void append_values(struct text *text, const struct row *row) {
    if (row->type == TYPE_CHOICE) {
        text_append(text, "    --%s) _filteratlas_words '", row->name);
        for (const char *c = row->argument; *c; c++)
            text_append(text, "%c", *c == '|' ? ' ' : *c);
        text_append(text, "'; return ;;\n");
    } else if (row->type == TYPE_DEAD) {
        text_append(text, "    --%s) _filteratlas_words 'skip retry leak'; return ;;\n", row->name);
    } else if (row->type == TYPE_JITTER) {
        text_append(text, "    --%s) _filteratlas_words 'all'; return ;;\n", row->name);
    } else if (!strcmp(row->name, "layers")) {
        text_append(text, "    --%s) _filteratlas_layers; return ;;\n", row->name);
    } else if (!strcmp(row->name, "out")) {
        text_append(text, "    --%s) compopt +o default -o dirnames 2>/dev/null; return ;;\n", row->name);
    } else if (row->type == TYPE_TEXT) { /* a file, which bash knows how to complete */
        text_append(text, "    --%s) return ;;\n", row->name);
    }
}

/* An option of two commands may have a row for each. */
static bool is_repeated(int r) {
    for (int before = 0; before < r; before++)
        if (!strcmp(option_rows[before].name, option_rows[r].name))
            return true;
    return false;
}

/* Numbers, which nobody can guess: no file is one either. */
static void append_numbers(struct text *text) {
    const char *between = "    --";
    for (int r = 0; r < OPTION_ROWS; r++) {
        const struct row *row = &option_rows[r];
        if (row->type == TYPE_FLAG || row->type == TYPE_TEXT || row->type == TYPE_CHOICE || row->type == TYPE_DEAD ||
            row->type == TYPE_JITTER || is_repeated(r))
            continue;
        text_append(text, "%s%s", between, row->name);
        between = " | --";
    }
    text_append(text, ") compopt +o default 2>/dev/null; return ;;\n");
}

static void append_options(struct text *text, int command) {
    text_append(text, "    %s) [[ $word == -* ]] && _filteratlas_words '", option_commands[command].name);
    const char *between = "";
    for (int r = 0; r < OPTION_ROWS; r++)
        if (option_rows[r].commands >> command & 1) {
            text_append(text, "%s--%s", between, option_rows[r].name);
            between = " ";
        }
    text_append(text, "' ;;\n");
}

void options_completion(struct text *text) {
    text_append(text, "%s        _filteratlas_words '", head);
    for (int c = 0; c < COMMANDS; c++)
        text_append(text, "%s ", option_commands[c].name);
    text_append(text, "help --help --version'\n        return\n    fi\n    case $previous in\n");
    for (int r = 0; r < OPTION_ROWS; r++)
        if (!is_repeated(r))
            append_values(text, &option_rows[r]);
    append_numbers(text);
    text_append(text, "    esac\n    case ${COMP_WORDS[1]} in\n");
    for (int c = 0; c < COMMANDS; c++)
        append_options(text, c);
    text_append(text, "    help) _filteratlas_words '");
    for (int c = 0; c < COMMANDS; c++)
        text_append(text, "%s%s", c ? " " : "", option_commands[c].name);
    text_append(text, "' ;;\n%s", tail);
}
