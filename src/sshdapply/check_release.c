// SPDX-License-Identifier: Apache-2.0
//
// How it works. The banner's version says little: distributions mend old releases and leave the
// number as it is. So the package counts. A flaw of the list is open where the release is one of
// those that have it and nothing says that it was mended. What says so: the package's version,
// where the distribution's number of the mended one is known; or the package's change log, which
// names the flaw (Debian keeps it below /usr/share/doc, rpm in its database). Where neither is to
// be had, that is said. The list is about sshd alone, and as old as this program: it replaces no
// updates.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "sshdapply/check_internal.h"
#include "sshdapply/tree.h"

#define STATUS_MAX    ((size_t)64 << 20)
#define CHANGELOG_MAX ((size_t)4 << 20)
#define LIST_OF       "August 2026"

// Releases as numbers: 9.8p1 is 90801.
#define RELEASE(major, minor, patch) ((major)*10000U + (minor)*100U + (patch))
#define NOT_OF_THEIRS                0xffffffffU

struct mended {
    const char *prefix; // of the package's version, up to a number
    unsigned from;      // mended where that is this or more
};

struct flaw {
    const char *name;
    unsigned from;   // the first release that has it
    unsigned before; // the first that has not; NOT_OF_THEIRS: a patch of distributions
    enum lh_sshd_grade grade;
    const char *keyword; // it matters where this keyword has this value; NULL: always
    const char *value;
    const char *why;
    struct mended mended[4];
};

static const struct flaw flaws[] = {
    {"CVE-2024-6387",
     RELEASE(8, 5, 0),
     RELEASE(9, 8, 0),
     LH_SSHD_GRADE_HIGH,
     NULL,
     NULL,
     "strangers who win a race run code as root (regreSSHion)",
     {{"1:9.2p1-2+deb12u", 3}, {"1:9.6p1-3ubuntu13.", 3}, {"1:8.9p1-3ubuntu0.", 10}}},
    {"CVE-2023-48795",
     RELEASE(1, 0, 0),
     RELEASE(9, 6, 0),
     LH_SSHD_GRADE_MEDIUM,
     NULL,
     NULL,
     "who sits on the way can cut messages away at the start (Terrapin)",
     {{"1:9.2p1-2+deb12u", 2}, {"1:8.4p1-5+deb11u", 3}}},
    {"CVE-2025-26466",
     RELEASE(9, 5, 0),
     RELEASE(9, 9, 2),
     LH_SSHD_GRADE_MEDIUM,
     NULL,
     NULL,
     "strangers can use up memory and time",
     {{NULL, 0}}},
    {"CVE-2025-32728",
     RELEASE(7, 4, 0),
     RELEASE(10, 0, 0),
     LH_SSHD_GRADE_LOW,
     "disableforwarding",
     "yes",
     "DisableForwarding leaves X11 and agents: each needs a switch of its own",
     {{"1:9.2p1-2+deb12u", 6}}},
    {"CVE-2026-3497",
     RELEASE(1, 0, 0),
     NOT_OF_THEIRS,
     LH_SSHD_GRADE_MEDIUM,
     "gssapikeyexchange",
     "yes",
     "strangers can make sshd read memory that was never set",
     {{"1:9.2p1-2+deb12u", 9}}},
    {"CVE-2026-35387",
     RELEASE(5, 7, 0),
     RELEASE(10, 3, 0),
     LH_SSHD_GRADE_LOW,
     NULL,
     NULL,
     "one ECDSA algorithm in PubkeyAcceptedAlgorithms lets all others in",
     {{"1:9.2p1-2+deb12u", 10}}},
    {"CVE-2026-35414",
     RELEASE(5, 6, 0),
     RELEASE(10, 3, 0),
     LH_SSHD_GRADE_LOW,
     NULL,
     NULL,
     "principals= of authorized_keys can match what it should not",
     {{"1:9.2p1-2+deb12u", 10}}},
    {"CVE-2021-41617",
     RELEASE(6, 2, 0),
     RELEASE(8, 8, 0),
     LH_SSHD_GRADE_LOW,
     NULL,
     NULL,
     "AuthorizedKeysCommand runs with groups of root",
     {{NULL, 0}}},
    {"CVE-2018-15473",
     RELEASE(1, 0, 0),
     RELEASE(7, 8, 0),
     LH_SSHD_GRADE_LOW,
     NULL,
     NULL,
     "strangers can find out which users there are",
     {{NULL, 0}}},
};

struct release {
    char package[128]; // its version; "" where sshd is of no package that we know of
    unsigned number;   // 0: not known
    char *changes;     // the package's change log, NULL where it is not to be had
};

// "9.2p1" or "1:9.2p1-2+deb12u10" as a number; 0 where it is none.
static unsigned release_number(const char *text)
{
    unsigned major, minor, patch = 0;
    const char *colon = strchr(text, ':');

    if (sscanf(colon == NULL ? text : colon + 1, "%3u.%2up%2u", &major, &minor, &patch) < 2)
        return 0;
    return RELEASE(major, minor, patch);
}

// The version of openssh-server in dpkg's status.
static void find_debian(const char *status, struct release *release)
{
    const char *at = strstr(status, "Package: openssh-server\n");
    const char *end = at == NULL ? NULL : strstr(at, "\n\n");
    const char *version = at == NULL ? NULL : strstr(at, "\nVersion: ");

    if (version == NULL || (end != NULL && version > end))
        return;
    version += strlen("\nVersion: ");
    (void)snprintf(release->package, sizeof release->package, "%.*s", (int)strcspn(version, "\n"),
                   version);
}

static void read_changes(const struct lh_check *check, struct release *release)
{
    static const char *const names[] = {"/usr/share/doc/openssh-server/changelog.Debian",
                                        "/usr/share/doc/openssh-client/changelog.Debian"};
    char path[4352];
    const char *const unpack[] = {"/usr/bin/gzip", "-dc", path, NULL};
    size_t len;

    for (size_t i = 0; release->changes == NULL && i < LH_ARRAY_LEN(names); i++) {
        struct stat facts;
        (void)snprintf(path, sizeof path, "%s.gz", names[i]);
        bool packed = lh_root_stat(check->options->root, path, &facts) && S_ISREG(facts.st_mode);
        (void)snprintf(path, sizeof path, "%.4096s%s.gz", check->live ? "" : check->options->root,
                       names[i]);
        if (packed)
            release->changes = lh_check_output(unpack);
        else if (lh_root_read(check->options->root, names[i], CHANGELOG_MAX, &release->changes,
                              &len, NULL) != 0)
            release->changes = NULL;
    }
}

// Where sshd comes from: dpkg's files below the root, else rpm's database (this machine only), else
// what the program itself says.
static void find_release(const struct lh_check *check, struct release *release)
{
    static const char *const version[] = {
        "/usr/bin/rpm", "-q", "--queryformat", "%{VERSION}-%{RELEASE}", "openssh-server", NULL};
    static const char *const changes[] = {"/usr/bin/rpm", "-q", "--changelog", "openssh-server",
                                          NULL};
    char *text;
    size_t len;

    if (lh_root_read(check->options->root, "/var/lib/dpkg/status", STATUS_MAX, &text, &len, NULL) ==
        0) {
        find_debian(text, release);
        free(text);
        if (*release->package != '\0')
            read_changes(check, release);
    }
    if (*release->package == '\0' && check->live && (text = lh_check_output(version)) != NULL) {
        (void)snprintf(release->package, sizeof release->package, "%.*s", (int)strcspn(text, "\n"),
                       text);
        free(text);
        release->changes = lh_check_output(changes);
    }
    release->number = release_number(release->package);
    const char *own = strchr(check->judge.version_text, '_');
    if (*release->package == '\0' && check->live && check->judged && own != NULL)
        release->number = release_number(own + 1);
}

static bool package_mends(const struct release *release, const struct flaw *flaw)
{
    for (size_t i = 0; i < LH_ARRAY_LEN(flaw->mended) && flaw->mended[i].prefix != NULL; i++) {
        size_t len = strlen(flaw->mended[i].prefix);
        if (strncmp(release->package, flaw->mended[i].prefix, len) == 0)
            return strtoul(release->package + len, NULL, 10) >= flaw->mended[i].from;
    }
    return release->changes != NULL && strstr(release->changes, flaw->name) != NULL;
}

// Whether the version alone tells: the distribution's numbers are known, and this is below them.
static bool package_known(const struct release *release, const struct flaw *flaw)
{
    for (size_t i = 0; i < LH_ARRAY_LEN(flaw->mended) && flaw->mended[i].prefix != NULL; i++) {
        if (strncmp(release->package, flaw->mended[i].prefix, strlen(flaw->mended[i].prefix)) == 0)
            return true;
    }
    return release->changes != NULL;
}

static bool
concerns(const struct lh_check *check, const struct release *release, const struct flaw *flaw)
{
    bool theirs = flaw->before == NOT_OF_THEIRS;

    if (release->number < flaw->from || (!theirs && release->number >= flaw->before) ||
        (theirs && *release->package == '\0'))
        return false;
    for (size_t i = 0; flaw->keyword != NULL && i < check->subject_count; i++) {
        if (strcmp(lh_sshd_values_text(&check->effective[i].values, flaw->keyword), flaw->value) ==
            0)
            return true;
    }
    return flaw->keyword == NULL;
}

static void add_flaw(struct lh_check *check, const struct release *release, const struct flaw *flaw)
{
    bool packaged = *release->package != '\0';
    bool known = !packaged || package_known(release, flaw);
    char is[300];

    (void)snprintf(is, sizeof is, "%s %s OpenSSH %.120s", flaw->name,
                   known ? "is open in" : "may be open in",
                   packaged ? release->package : check->judge.version_text);
    lh_check_add(check,
                 &(struct lh_sshd_remark){
                     .grade = known ? flaw->grade : LH_SSHD_GRADE_UNKNOWN,
                     .rule = "G4",
                     .is = is,
                     .want = known ? "an update" : "to know whether the distribution has mended it",
                     .why = flaw->why,
                     .mend = "apt-get install --only-upgrade openssh-server"});
}

void lh_check_release(struct lh_check *check)
{
    struct release release = {.number = 0};
    unsigned open = 0;
    char is[300];

    find_release(check, &release);
    if (release.number == 0) {
        lh_check_add(check, &(struct lh_sshd_remark){
                                .grade = LH_SSHD_GRADE_UNKNOWN,
                                .rule = "G4",
                                .is = "which release of OpenSSH this is could not be found out",
                                .why = "known flaws of releases were not looked up"});
        return;
    }
    for (size_t i = 0; i < LH_ARRAY_LEN(flaws); i++) {
        if (!concerns(check, &release, &flaws[i]) || package_mends(&release, &flaws[i]))
            continue;
        add_flaw(check, &release, &flaws[i]);
        open++;
    }
    (void)snprintf(is, sizeof is, "OpenSSH %.120s: no flaw of our list (%s) is open",
                   *release.package != '\0' ? release.package : check->judge.version_text, LIST_OF);
    if (open == 0)
        lh_check_add(check,
                     &(struct lh_sshd_remark){.grade = LH_SSHD_GRADE_OK, .rule = "G4", .is = is});
    free(release.changes);
}
