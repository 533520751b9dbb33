// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "cmd/display.h"
#include "cmd/progress.h"
#include "cmd/report_json.h"

static struct lhcp_status usual(void)
{
    return (struct lhcp_status){
        .phase = LHCP_PHASE_TRANSFERRING,
        .lane = LHCP_LANE_UDP,
        .elapsed = 10 * LH_SECOND,
        .totals_known = true,
        .files_total = 10,
        .files_done = 4,
        .bytes_total = 2600000000,
        .bytes_done = 1170000000,
        .bytes_verified = 1000000000,
        .bytes_sent = 1170000000,
        .rate = 940000000,
        .rtt = 100 * LH_MS,
        .loss_ppm = 10000,
        .loss_known = true,
        .name = "dir/some-file.bin",
    };
}

static void shows_every_field_on_a_wide_terminal(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    assert_string_equal(
        lh_progress_line(&status, 100, line, sizeof line),
        "dir/some-file.bin          45%   1.1 GB/2.6 GB    940 Mbit/s     00:12 ETA  RTT  100 ms  "
        "loss  1.0%");
    check_uint(strlen(line), 99);
}

static void drops_the_least_wanted_fields_first(void **state)
{
    (void)state;
    static const char *const order[] = {"%", "bit/s", "ETA", "GB/", "RTT", "loss"};
    struct lhcp_status status = usual();
    size_t shown_before = 0;

    for (unsigned columns = 1; columns <= 120; columns++) {
        char line[LH_PROGRESS_LINE];
        size_t shown = 0;
        lh_progress_line(&status, columns, line, sizeof line);
        while (shown < 6 && strstr(line, order[shown]) != NULL)
            shown++;
        for (size_t i = shown; i < 6; i++)
            assert_null(strstr(line, order[i]));
        assert_true(shown >= shown_before);
        shown_before = shown;
    }
    check_uint(shown_before, 6);
}

static void never_takes_the_last_column(void **state)
{
    (void)state;
    static const char *const names[] = {
        "a",
        "",
        "a/very/long/path/that/does/not/fit/into/any/usual/line/of/eighty/columns/at/all.bin",
        "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e\xe6\x97\xa5\xe6"
        "\x9c",
        "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
        "\x1b[2J\n\r\x9b"
        "31m",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (unsigned columns = 0; columns <= 600; columns++) {
            struct lhcp_status status = usual();
            char line[LH_PROGRESS_LINE];
            status.name = names[i];
            lh_progress_line(&status, columns, line, sizeof line);
            size_t most = columns == 0 ? 0 : columns - 1;
            if (lh_progress_columns(line) > most)
                fail_msg("%zu columns of %u: \"%s\"", lh_progress_columns(line), columns, line);
        }
    }
}

static void lets_no_byte_of_a_name_act_on_the_terminal(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char name[8] = {'a', (char)byte, '[', 'm', '\0'};
        struct lhcp_status status = usual();
        char line[LH_PROGRESS_LINE];
        status.name = name;
        lh_progress_line(&status, 100, line, sizeof line);
        for (char *at = line; *at != '\0'; at++) {
            if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
                fail_msg("byte %d gave %02x", byte, (unsigned char)*at);
        }
    }
}

static void keeps_the_end_of_a_long_path(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    status.name = "one/two/three/four/five/six/seven/eight/file.bin";
    lh_progress_line(&status, 92, line, sizeof line);
    assert_memory_equal(line, "...ight/file.bin  ", 18);
}

static void says_100_percent_only_when_nothing_is_left(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    status.bytes_done = status.bytes_total;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), " 99%"));
    status.files_done = status.files_total;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), "100%"));
    status.totals_known = false;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), " 99%"));
}

static void promises_no_end_before_the_listing_is_complete(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    status.totals_known = false;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), "--:-- ETA"));
    status.totals_known = true;
    status.rate = 0;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), "--:-- ETA"));
}

static void says_when_data_goes_over_ssh(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    status.lane = LHCP_LANE_SSH;
    assert_non_null(strstr(lh_progress_line(&status, 120, line, sizeof line), "over SSH"));
}

static void says_what_it_waits_for_without_a_session(void **state)
{
    (void)state;
    struct lhcp_status status = {.phase = LHCP_PHASE_CONNECTING};
    char line[LH_PROGRESS_LINE];
    assert_string_equal(lh_progress_line(&status, 80, line, sizeof line), "connecting ...");
    assert_string_equal(lh_progress_line(&status, 5, line, sizeof line), "conn");
    status.phase = LHCP_PHASE_RETRYING;
    assert_non_null(strstr(lh_progress_line(&status, 80, line, sizeof line), "trying again (1)"));
}

static void survives_extreme_figures(void **state)
{
    (void)state;
    struct lhcp_status status = usual();
    char line[LH_PROGRESS_LINE];
    status.bytes_total = UINT64_MAX;
    status.bytes_done = UINT64_MAX - 1;
    status.rate = UINT64_MAX;
    status.rtt = UINT64_MAX;
    status.loss_ppm = UINT32_MAX;
    lh_progress_line(&status, 80, line, sizeof line);
    status.bytes_done = 0;
    status.rate = 1;
    lh_progress_line(&status, 80, line, sizeof line);
    assert_non_null(strstr(line, "--:--"));
}

static void finds_a_line_again_that_a_narrower_window_broke(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(lh_progress_erase(0, 80, out), "\r");
    assert_string_equal(lh_progress_erase(79, 80, out), "\r");
    assert_string_equal(lh_progress_erase(80, 80, out), "\r");
    assert_string_equal(lh_progress_erase(79, 40, out), "\r\x1b[1A\x1b[J");
    assert_string_equal(lh_progress_erase(79, 20, out), "\r\x1b[3A\x1b[J");
    assert_string_equal(lh_progress_erase(79, 0, out), "\r");
}

static char *text_of(void (*print)(FILE *out, const void *what), const void *what)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    print(out, what);
    (void)fclose(out);
    return text;
}

static void print_summary(FILE *out, const void *what)
{
    lh_summary_print(what, 1, out);
}

static void summary_says_what_was_done_and_what_was_not(void **state)
{
    (void)state;
    struct lhcp_result result = {.status = usual(),
                                 .exit_code = 27,
                                 .resumable = true,
                                 .cipher = "aes-128-gcm",
                                 .udp_note = "blocked\x1b[2J"};
    result.status.files_failed = 1;
    result.status.files_skipped = 2;
    result.status.bytes_udp = 1200000000;
    result.status.bytes_ssh = 30000;
    result.status.bytes_retransmitted = 17;
    result.status.brakes = 2;
    char *text = text_of(print_summary, &result);
    assert_string_equal(
        text, "4 files (1.0 GB) in place and verified, 2 of them unchanged, in 00:10\n"
              "  sent: 1.1 GB, 936 Mbit/s; 17 B sent again after loss\n"
              "  way: 1.2 GB over UDP (aes-128-gcm), 30.0 kB over SSH (blocked\\x1b[2J)\n"
              "  The way did not carry the target rate: policy fixed slowed down 2 times.\n"
              "  failed: 1 file (named above)\n"
              "  The same command again goes on from here.\n"
              "  Verified: every file by XXH3-128 against the sender's digest. Resume is proved "
              "against kill -9;\n  power cuts: not yet proved.\n");
    free(text);
}

static void print_json_status(FILE *out, const void *what)
{
    lh_json_status(what, out);
}

static void print_json_result(FILE *out, const void *what)
{
    lh_json_result(what, out);
}

static void json_is_one_line_and_plain_text_whatever_the_name(void **state)
{
    (void)state;
    for (int byte = 1; byte < 256; byte++) {
        char name[4] = {'a', (char)byte, 'b', '\0'};
        struct lhcp_status status = usual();
        status.name = name;
        char *text = text_of(print_json_status, &status);
        assert_non_null(strstr(text, "\"name\":\"a"));
        assert_non_null(strstr(text, "\"type\":\"progress\""));
        assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
        free(text);
    }
}

static void json_summary_holds_verdict_and_figures(void **state)
{
    (void)state;
    struct lhcp_result result = {
        .status = usual(), .exit_code = 51, .text = "Remote host is not who we expected"};
    result.status.braked_to = 50000000;
    result.status.brakes = 1;
    char *text = text_of(print_json_result, &result);
    assert_non_null(strstr(text, "\"complete\":false"));
    assert_non_null(strstr(text, "\"error_code\":51"));
    assert_non_null(strstr(text, "\"bytes_total\":2600000000"));
    assert_non_null(strstr(text, "\"loss_ppm\":10000"));
    assert_non_null(strstr(text, "\"braked_to_bits_per_second\":50000000,\"brakes\":1,"));
    free(text);
}

struct display_run {
    char *out_text, *err_text;
    size_t out_len, err_len;
    FILE *out, *err;
    struct lhcp_display display;
};

static struct display_run *begin(struct lhcp_options *options)
{
    static struct display_run run;
    memset(&run, 0, sizeof run);
    run.out = open_memstream(&run.out_text, &run.out_len);
    run.err = open_memstream(&run.err_text, &run.err_len);
    options->program = "lhcp";
    lhcp_display_init(&run.display, options, run.out, run.err);
    return &run;
}

static void end(struct display_run *run)
{
    (void)fclose(run->out);
    (void)fclose(run->err);
}

static void prints_no_progress_where_there_is_no_terminal(void **state)
{
    (void)state;
    struct lhcp_options options = {.action = LHCP_TRANSFER};
    struct display_run *run = begin(&options);
    struct lhcp_status status = usual();
    for (lh_ns now = 0; now < 5 * LH_SECOND; now += 100 * LH_MS)
        run->display.report.status(run->display.report.user, &status, now);
    end(run);
    check_uint(run->out_len, 0);
    check_uint(run->err_len, 0);
    free(run->out_text);
    free(run->err_text);
}

static void prints_one_json_object_a_second(void **state)
{
    (void)state;
    struct lhcp_options options = {.json = true};
    struct display_run *run = begin(&options);
    struct lhcp_status status = usual();
    for (lh_ns now = LH_SECOND; now < 6 * LH_SECOND; now += 100 * LH_MS)
        run->display.report.status(run->display.report.user, &status, now);
    end(run);
    size_t lines = 0;
    for (size_t i = 0; i < run->out_len; i++)
        lines += run->out_text[i] == '\n';
    check_uint(lines, 5);
    free(run->out_text);
    free(run->err_text);
}

static void the_error_is_the_last_line_and_peers_cannot_forge_one(void **state)
{
    (void)state;
    struct lhcp_options options = {.quiet = true};
    struct display_run *run = begin(&options);
    struct lhcp_problem problem = {
        .kind = LHCP_PROBLEM_FAILED, .name = "x\nlhcp: error 0: fine", .text = "no\x1b[2J"};
    struct lhcp_problem skipped = {.kind = LHCP_PROBLEM_SKIPPED, .name = "y", .text = "a link"};
    struct lhcp_result result = {.exit_code = 27, .text = "1 file was not transferred"};
    run->display.report.problem(run->display.report.user, &problem);
    run->display.report.problem(run->display.report.user, &skipped); // -q: not an error, not shown
    check_int(lhcp_display_result(&run->display, &result), 1);
    end(run);
    assert_string_equal(run->err_text, "lhcp: x\\nlhcp: error 0: fine: no\\x1b[2J\n"
                                       "lhcp: error 27: 1 file was not transferred\n");
    check_uint(run->out_len, 0);
    free(run->out_text);
    free(run->err_text);
}

static void answers_of_check_go_to_standard_output_without_a_summary(void **state)
{
    (void)state;
    struct lhcp_options options = {.action = LHCP_CHECK};
    struct display_run *run = begin(&options);
    struct lhcp_problem line = {.kind = LHCP_PROBLEM_NOTICE, .text = "UDP: works both ways"};
    struct lhcp_result result = {.exit_code = 0};
    run->display.report.problem(run->display.report.user, &line);
    check_int(lhcp_display_result(&run->display, &result), 0);
    end(run);
    assert_string_equal(run->out_text, "UDP: works both ways\n");
    check_uint(run->err_len, 0);
    free(run->out_text);
    free(run->err_text);
}

static void a_dry_run_claims_nothing_to_be_in_place(void **state)
{
    (void)state;
    struct lhcp_options options = {.action = LHCP_DRY_RUN};
    struct display_run *run = begin(&options);
    struct lhcp_problem line = {
        .kind = LHCP_PROBLEM_NOTICE, .name = "a\n", .text = "would be sent"};
    struct lhcp_result result = {.status = usual()};
    result.status.files_skipped = 3;
    run->display.report.problem(run->display.report.user, &line);
    check_int(lhcp_display_result(&run->display, &result), 0);
    end(run);
    assert_string_equal(
        run->out_text,
        "a\\n: would be sent\n"
        "Nothing was changed. Of 10 files (2.6 GB), 7 would be sent or compared, 3 are "
        "unchanged, 0 cannot be sent.\n");
    free(run->out_text);
    free(run->err_text);
}

static void a_failed_connection_has_no_summary(void **state)
{
    (void)state;
    struct lhcp_options options = {.action = LHCP_TRANSFER};
    struct display_run *run = begin(&options);
    struct lhcp_result result = {.exit_code = 12, .text = "nobody answers"};
    check_int(lhcp_display_result(&run->display, &result), 1);
    end(run);
    check_uint(run->out_len, 0);
    assert_string_equal(run->err_text, "lhcp: error 12: nobody answers\n");
    free(run->out_text);
    free(run->err_text);
}

static void exit_status_is_0_only_without_an_error(void **state)
{
    (void)state;
    struct lhcp_options options = {.quiet = true};
    struct display_run *run = begin(&options);
    struct lhcp_result result = {.exit_code = 0};
    check_int(lhcp_display_result(&run->display, &result), 0);
    end(run);
    check_uint(run->err_len, 0);
    free(run->out_text);
    free(run->err_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_every_field_on_a_wide_terminal),
        cmocka_unit_test(drops_the_least_wanted_fields_first),
        cmocka_unit_test(never_takes_the_last_column),
        cmocka_unit_test(lets_no_byte_of_a_name_act_on_the_terminal),
        cmocka_unit_test(keeps_the_end_of_a_long_path),
        cmocka_unit_test(says_100_percent_only_when_nothing_is_left),
        cmocka_unit_test(promises_no_end_before_the_listing_is_complete),
        cmocka_unit_test(says_when_data_goes_over_ssh),
        cmocka_unit_test(says_what_it_waits_for_without_a_session),
        cmocka_unit_test(survives_extreme_figures),
        cmocka_unit_test(finds_a_line_again_that_a_narrower_window_broke),
        cmocka_unit_test(summary_says_what_was_done_and_what_was_not),
        cmocka_unit_test(json_is_one_line_and_plain_text_whatever_the_name),
        cmocka_unit_test(json_summary_holds_verdict_and_figures),
        cmocka_unit_test(prints_no_progress_where_there_is_no_terminal),
        cmocka_unit_test(prints_one_json_object_a_second),
        cmocka_unit_test(the_error_is_the_last_line_and_peers_cannot_forge_one),
        cmocka_unit_test(answers_of_check_go_to_standard_output_without_a_summary),
        cmocka_unit_test(a_dry_run_claims_nothing_to_be_in_place),
        cmocka_unit_test(a_failed_connection_has_no_summary),
        cmocka_unit_test(exit_status_is_0_only_without_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
