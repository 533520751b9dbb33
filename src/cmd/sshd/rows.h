// SPDX-License-Identifier: Apache-2.0
//
// Options that several commands of lhctl sshd have, each written once: rows for their tables.
#ifndef LH_CMD_SSHD_ROWS_H
#define LH_CMD_SSHD_ROWS_H

#include <stddef.h>

#include "cmd/sshd/internal.h"

#define LH_SSHD_FIELD(name) offsetof(struct lh_sshd_args, name)

// clang-format off
#define LH_SSHD_ROW_ROOT                                                                           \
    {.name = "root", .arg = "DIR", .parse = lh_option_text, .offset = LH_SSHD_FIELD(root),         \
     .help = "take the files below DIR instead of this machine's"}
#define LH_SSHD_ROW_CONFIG                                                                         \
    {.name = "config", .arg = "FILE", .parse = lh_option_text, .offset = LH_SSHD_FIELD(config),    \
     .help = "the main file, below the root (/etc/ssh/sshd_config)"}
#define LH_SSHD_ROW_PORT                                                                           \
    {.name = "port", .arg = "PORT", .parse = lh_option_port, .offset = LH_SSHD_FIELD(port),        \
     .help = "the port that transfers use (33001)"}
#define LH_SSHD_ROW_TRANSFER_USER                                                                  \
    {.name = "transfer-user", .arg = "NAME", .parse = lh_sshd_option_name,                         \
     .offset = LH_SSHD_FIELD(transfer_users),                                                      \
     .help = "a transfer user (those with a transfer shell)"}
#define LH_SSHD_ROW_ADMIN                                                                          \
    {.name = "admin", .arg = "NAME", .parse = lh_sshd_option_name,                                 \
     .offset = LH_SSHD_FIELD(admins),                                                              \
     .help = "an administrator (those whom sudo knows)"}
#define LH_SSHD_ROW_FROM                                                                           \
    {.name = "from", .arg = "ADDRESS", .parse = lh_option_text, .offset = LH_SSHD_FIELD(from),     \
     .help = "the client's address, for Match (192.0.2.1)"}
#define LH_SSHD_ROW_DAYS                                                                           \
    {.name = "days", .arg = "N", .parse = lh_sshd_option_days, .offset = LH_SSHD_FIELD(days),      \
     .help = "how far back the log is read (30); 0 leaves it alone"}
#define LH_SSHD_ROW_JSON                                                                           \
    {.name = "json", .parse = lh_option_flag, .offset = LH_SSHD_FIELD(json),                       \
     .help = "one JSON document"}
#define LH_SSHD_ROW_HOST                                                                           \
    {.name = "host", .arg = "NAME", .parse = lh_option_text, .offset = LH_SSHD_FIELD(host),        \
     .help = "the server's name as users write it (this host's name)"}
#define LH_SSHD_ROW_HELP                                                                           \
    {.letter = 'h', .name = "help", .parse = lh_option_flag, .offset = LH_SSHD_FIELD(help),        \
     .help = "this help"}

// What a plan is made of; plan and whoever carries one out.
#define LH_SSHD_ROWS_CHOICES                                                                       \
    {.name = "keep-port-22", .parse = lh_option_flag, .offset = LH_SSHD_FIELD(keep_port_22),       \
     .help = "keep port 22 open beside it"},                                                       \
    {.name = "allow-users", .arg = "NAME", .parse = lh_sshd_option_pattern,                        \
     .offset = LH_SSHD_FIELD(allow_users),                                                         \
     .help = "let in these users only; DOMAIN\\user for domains"},                                 \
    {.name = "allow-groups", .arg = "NAME", .parse = lh_sshd_option_pattern,                       \
     .offset = LH_SSHD_FIELD(allow_groups),                                                        \
     .help = "let in members of these groups only"},                                               \
    {.name = "sftp-users", .arg = "NAME", .parse = lh_sshd_option_name,                            \
     .offset = LH_SSHD_FIELD(sftp_users),                                                          \
     .help = "a user who keeps SFTP, and gets nothing else (nobody)"},                             \
    {.name = "passwords", .arg = "keep", .parse = lh_option_text,                                  \
     .offset = LH_SSHD_FIELD(passwords),                                                           \
     .help = "\"keep\": go on to accept passwords as now"},                                        \
    {.name = "forwarding-group", .arg = "GROUP", .parse = lh_option_text,                          \
     .offset = LH_SSHD_FIELD(forwarding_group),                                                    \
     .help = "its members may forward TCP (nobody)"},                                              \
    {.name = "strict", .parse = lh_option_flag, .offset = LH_SSHD_FIELD(strict),                   \
     .help = "drop what only older libraries need"}
// clang-format on

#endif
