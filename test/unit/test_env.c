/* SPDX-License-Identifier: MIT */
/* Unit tests of environments: create, join, registers, start, stop, exit, faults (exo/env.c). */
#include "fixture.h"

static void create_makes_a_stopped_environment(void **state) {
    (void)state;
    uint64_t name = (uint64_t)GOOD(0, env_create, handle(0, 0), FREE, FREE + 1, FREE + 2, place(4));
    assert_int_equal(name, handle(0, 4));
    struct exo_env *env = env_at(FREE);
    assert_int_equal(env->gen, env_at(info->init_env)->gen + 1);
    assert_int_equal(frame_type(FREE + 1), EXO_FRAME_CTX);
    assert_int_equal(frame_type(FREE + 2), EXO_FRAME_ROOT);
    assert_int_equal(slot(0, 4)->depth, 2);
    assert_int_equal(slot(0, 4)->parent, cap_link(&env->donation[0]));
    assert_int_equal(env->first_cap, cap_link(slot(0, 4)));
    struct result result = CALL(0, env_regs, name, EXO_REGS_STATE);
    assert_int_equal(result.value, EXO_STATE_STOPPED);
    assert_int_equal(result.detail, env->gen);
}

static void create_refuses(void **state) {
    (void)state;
    uint64_t root = handle(0, 0);
    GOOD(0, cap_derive, root, place(3), FREE, 8, EXO_PAGE_R, 0, 0);
    GOOD(0, cap_derive, root, place(5), FREE, 2, ALL_RIGHTS, 0, 0);
    REFUSED(RIGHTS, 0, env_create, handle(0, 3), FREE, FREE + 1, FREE + 2, place(4));
    REFUSED(RANGE, 0, env_create, handle(0, 5), FREE, FREE + 1, FREE + 2, place(4));
    REFUSED(RANGE, 0, env_create, root, NEVER, FREE + 1, FREE + 2, place(4));
    REFUSED(RANGE, 0, env_create, root, FREE, ~0ul, FREE + 2, place(4));
    REFUSED(RANGE, 0, env_create, root, FREE, FREE + 1, 1, place(4));
    REFUSED(RANGE, 0, env_create, root, 0, FREE + 1, FREE + 2, place(4));
    REFUSED(ARGUMENT, 0, env_create, root, FREE, FREE, FREE + 2, place(4));
    REFUSED(ARGUMENT, 0, env_create, root, FREE, FREE + 1, FREE, place(4));
    REFUSED(ARGUMENT, 0, env_create, root, FREE, FREE + 1, FREE + 1, place(4));
    REFUSED(ARGUMENT, 0, env_create, root, FREE, FREE, 0, place(4));
    REFUSED(BUSY, 0, env_create, root, info->init_env, FREE + 1, FREE + 2, place(4));
    REFUSED(BUSY, 0, env_create, root, FREE, info->archive + 1, FREE + 2, place(4));
    REFUSED(BUSY, 0, env_create, root, FREE, FREE + 1, HOST_RAM_FRAME, place(4));
    REFUSED(SLOT, 0, env_create, root, FREE, FREE + 1, FREE + 2, place(0));
    REFUSED(SLOT, 0, env_create, root, FREE, FREE + 1, FREE + 2, place(16));
    REFUSED(SLOT, 0, env_create, root, FREE, FREE + 1, FREE + 2, ~0ul);
    REFUSED(SLOT, 0, env_create, root + (1ul << 32), FREE, FREE + 1, FREE + 2, place(4));
    REFUSED(CLASS, 0, env_create, handle(0, 1), FREE, FREE + 1, FREE + 2, place(4));
    /* A large leaf over a frame keeps it from being typed. */
    GOOD(0, table_link, 0, VA, 2, root, FREE + 20);
    GOOD(0, page_map, 0, VA, root, GROUP(2), 1, EXO_PAGE_R | EXO_MAP_LARGE);
    REFUSED(BUSY, 0, env_create, root, FREE, FREE + 1, GROUP(2) + 7, place(4));
}

static void a_thread_joins_its_space(void **state) {
    (void)state;
    people(1);
    lend(A_SLOT, 0, FREE, 4, ALL_RIGHTS, 0);
    GOOD(1, env_create, handle(1, 0), FREE, FREE + 1, 0, place(1));
    assert_int_equal(env_at(FREE)->root, A + 2);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS * 2, EXO_SELF);
    GOOD(0, slice_bind, handle(0, 1), EXO_ROWS * 2, EXO_UNBIND);
    GOOD(0, cap_derive, handle(0, 1), place(6), EXO_ROWS * 2, 1, EXO_SLICE_BIND, 0, 0);
    GOOD(0, cap_grant, handle(0, 6), handle(0, A_SLOT), place(2), 0, 0);
    GOOD(1, slice_bind, handle(1, 2), EXO_ROWS * 2, handle(1, 1));
    GOOD(1, env_regs, handle(1, 1), EXO_REGS_START);
    host_settle();
    assert_int_equal(runs(2), FREE);
    assert_ptr_equal(harts[2]->space, env_at(A));
    /* Its calls are its space's: what the leader maps it reaches. */
    tables(2, 0, FREE + 2);
    REFUSED(PRESENT, 1, table_link, 0, VA, 2, handle(1, 0), FREE + 2);
}

static void registers_of_a_stopped_one(void **state) {
    (void)state;
    people(1);
    uint64_t name = handle(0, A_SLOT);
    REFUSED(STATE, 0, env_regs, name, EXO_REGS_GET);
    REFUSED(STATE, 0, env_regs, name, EXO_REGS_SET);
    REFUSED(STATE, 0, env_regs, name, EXO_REGS_START);
    assert_int_equal(JOB(0, env_regs, name, EXO_REGS_STOP), 0);
    assert_int_equal(runs(1), 0);
    uint64_t *vector = harts[0]->ctx->vector;
    for (uint64_t i = 0; i < 32; i++) vector[i] = 1000 + i;
    GOOD(0, env_regs, name, EXO_REGS_SET);
    for (uint64_t i = 0; i < 32; i++) vector[i] = 0;
    GOOD(0, env_regs, name, EXO_REGS_GET);
    for (uint64_t i = 0; i < 32; i++) assert_int_equal(vector[i], 1000 + i);
    GOOD(0, env_regs, name, EXO_REGS_STOP); /* once more is as good */
    GOOD(0, env_regs, name, EXO_REGS_START);
    host_settle();
    assert_int_equal(runs(1), A);
}

static void regs_refuses(void **state) {
    (void)state;
    people(2);
    uint64_t name = handle(0, A_SLOT);
    GOOD(0, cap_derive, name, place(6), A, 1, EXO_ENV_CALL | EXO_ENV_NOTIFY, 0, 0);
    REFUSED(ARGUMENT, 0, env_regs, name, 5);
    REFUSED(ARGUMENT, 0, env_regs, name, ~0ul);
    REFUSED(SLOT, 0, env_regs, name + (1ul << 32), EXO_REGS_STOP);
    REFUSED(SLOT, 0, env_regs, EXO_SELF, EXO_REGS_STATE);
    REFUSED(CLASS, 0, env_regs, handle(0, 0), EXO_REGS_STATE);
    REFUSED(RIGHTS, 0, env_regs, handle(0, 6), EXO_REGS_STOP);
    REFUSED(RIGHTS, 0, env_regs, handle(0, 6), EXO_REGS_START);
    GOOD(0, env_regs, handle(0, 6), EXO_REGS_STATE);
    GOOD(0, cap_derive, name, place(7), A, 1, 7, 0, 0);
    GOOD(0, cap_grant, handle(0, 7), name, place(3), 0, 0);
    REFUSED(SELF, 1, env_regs, handle(1, 3), EXO_REGS_STOP);
    REFUSED(SELF, 1, env_regs, handle(1, 3), EXO_REGS_GET);
    CALL(1, exit, 0);
    REFUSED(STATE, 0, env_regs, name, EXO_REGS_START);
    REFUSED(DYING, 0, env_regs, name, EXO_REGS_STOP);
}

static void a_running_one_is_told_to_stop(void **state) {
    (void)state;
    people(1);
    assert_int_equal(CALL(0, env_regs, handle(0, A_SLOT), EXO_REGS_STOP).value, EXO_EAGAIN);
    assert_true(host_models[1].ipi);
    /* It may go on until its hart looks, and even then give itself up first. */
    host_call(1, EXO_CALL_yield, (const uint64_t[7]){EXO_NONE});
    walk_is_good();
    assert_int_equal(runs(1), 0);
    assert_int_equal(env_state(*frame_state(A)), EXO_STATE_READY);
    REFUSED(STATE, 0, env_regs, handle(0, A_SLOT), EXO_REGS_START);
    GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_STOP);
    assert_int_equal(env_state(*frame_state(A)), EXO_STATE_STOPPED);
}

static void exit_is_for_good(void **state) {
    (void)state;
    people(1);
    CALL(1, exit, 0);
    assert_int_equal(runs(1), 0);
    assert_int_equal(host_models[1].state, HOST_IDLE);
    assert_true(*frame_state(A) & EXO_FLAG_KILL);
    REFUSED(DYING, 0, slice_bind, handle(0, 1), 5, handle(0, A_SLOT));
    assert_int_equal(JOB(0, env_reap, A), 0);
    REFUSED(SLOT, 0, env_regs, handle(0, A_SLOT), EXO_REGS_STATE);
}

static void the_first_capability_is_its_life(void **state) {
    (void)state;
    people(1);
    GOOD(0, cap_derive, handle(0, A_SLOT), place(6), A, 1, EXO_ENV_CALL, 0, 0);
    assert_int_equal(JOB(0, cap_drop, handle(0, 6), A), 0);
    assert_false(*frame_state(A) & EXO_FLAG_KILL);
    assert_int_equal(JOB(0, cap_drop, handle(0, A_SLOT), A), 0);
    assert_true(*frame_state(A) & EXO_FLAG_KILL);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

static void the_first_capability_can_be_given(void **state) {
    (void)state;
    people(2);
    uint64_t receiver = handle(0, B_SLOT);
    GOOD(0, cap_grant, handle(0, A_SLOT), receiver, place(3), 0, 0);
    assert_int_equal(env_at(A)->first_cap, cap_link(slot(2, 3)));
    assert_int_equal(JOB(2, env_regs, handle(2, 3), EXO_REGS_STOP), 0);
    assert_int_equal(JOB(2, cap_drop, handle(2, 3), A), 0);
    assert_int_equal(JOB(0, env_reap, A), 0);
}

static void a_fault_stops_it(void **state) {
    (void)state;
    people(1);
    host_fault(1, 13, 0xdead);
    walk_is_good();
    assert_int_equal(runs(1), 0);
    struct exo_ctx *ctx = frame_pointer(A + 1);
    assert_int_equal(ctx->stop_cause, 13);
    assert_int_equal(ctx->stop_value, 0xdead);
    assert_int_equal(CALL(0, env_regs, handle(0, A_SLOT), EXO_REGS_STATE).value,
                     EXO_STATE_STOPPED | EXO_FLAG_FAULT);
    GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_GET);
    GOOD(0, env_regs, handle(0, A_SLOT), EXO_REGS_START);
    host_settle();
    assert_int_equal(runs(1), A);
}

static void the_machine_stops_with_init(void **state) {
    (void)state;
    host_boot(&(struct host_plan){.groups = 2, .harts = 1, .asids = 1});
    assert_int_equal(host_call(0, EXO_CALL_exit, (const uint64_t[7]){0}), HOST_OFF);
    assert_non_null(host_stop_why);
    host_boot(&(struct host_plan){.groups = 2, .harts = 1, .asids = 1});
    assert_int_equal(host_fault(0, 13, 0), HOST_OFF);
    assert_non_null(host_stop_why);
}

static void the_machine_calls(void **state) {
    (void)state;
    people(1);
    uint64_t machine = handle(0, 2);
    GOOD(0, cap_derive, machine, place(6), 0, 1, EXO_MACHINE_TRACE, 0, 0);
    uint64_t before = host_console_length;
    assert_int_equal(GOOD(0, debug_write, machine, 5, 0x6f6c6c6568, 0), 5);
    assert_memory_equal(host_console + before, "hello", 5);
    assert_int_equal(GOOD(0, debug_write, machine, 0, 0, 0), 0);
    REFUSED(ARGUMENT, 0, debug_write, machine, 17, 0, 0);
    REFUSED(ARGUMENT, 0, debug_write, machine, ~0ul, 0, 0);
    REFUSED(RIGHTS, 0, debug_write, handle(0, 6), 5, 0, 0);
    REFUSED(SLOT, 0, debug_write, machine + (1ul << 32), 5, 0, 0);
    REFUSED(CLASS, 0, debug_write, handle(0, 0), 5, 0, 0);
    REFUSED(RIGHTS, 0, shutdown, handle(0, 6), 0);
    REFUSED(CLASS, 0, shutdown, handle(0, 1), 0);
    REFUSED(SLOT, 0, shutdown, EXO_NONE, 0);
    host_console_room = 3;
    assert_int_equal(GOOD(0, debug_write, machine, 5, 0x6f6c6c6568, 0), 3);
    REFUSED(AGAIN, 0, debug_write, machine, 5, 0x6f6c6c6568, 0);
}

static void shutdown_ends_the_machine(void **state) {
    (void)state;
    host_boot(&(struct host_plan){.groups = 2, .harts = 1, .asids = 1});
    assert_int_equal(host_call(0, exo_call_shutdown, (const uint64_t[7]){handle(0, 2), 0x107}),
                     HOST_OFF);
    assert_int_equal(host_power_status, 7);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        CORE_TEST(create_makes_a_stopped_environment),
        CORE_TEST(create_refuses),
        CORE_TEST(a_thread_joins_its_space),
        CORE_TEST(registers_of_a_stopped_one),
        CORE_TEST(regs_refuses),
        CORE_TEST(a_running_one_is_told_to_stop),
        CORE_TEST(exit_is_for_good),
        CORE_TEST(the_first_capability_is_its_life),
        CORE_TEST(the_first_capability_can_be_given),
        CORE_TEST(a_fault_stops_it),
        cmocka_unit_test(the_machine_stops_with_init),
        CORE_TEST(the_machine_calls),
        cmocka_unit_test(shutdown_ends_the_machine),
    };
    return cmocka_run_group_tests_name("env", tests, NULL, NULL);
}
