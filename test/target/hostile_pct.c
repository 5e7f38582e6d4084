/* SPDX-License-Identifier: MIT */
/*
 * hostile_pct: calls between environments.  Every wrong argument and every
 * state of the callee; what the words and the registers carry; and every end
 * of a call that is no answer.
 *
 * The servers have no rows: they run in the slices of those who call.  A
 * client is a child that makes one call and tells what came of it.
 */
#include "calls.h"
#include "check.h"
#include "registers.h"

#define R EXO_PAGE_R
#define W EXO_PAGE_W
#define CHILDREN 10 /* one more than a chain may have */
#define ROUNDS 2000
#define STORM_ROUNDS 300
#define STORM_SECONDS 3
#define STORM_SERVERS 3

/* What word 0 of a call asks a server to do before it answers. */
enum { ECHO, EXIT, FAULT, SLEEP, SPIN, YIELD, CALL_ON, REGISTERS };

static uint64_t memory, first;
static uint64_t slice, hart_row; /* a row of another hart, if there is one */

static struct child servers[CHILDREN], client;
static volatile uint64_t released;         /* ends SPIN */
static volatile uint64_t accepted, nocall; /* how many calls came, and how many times none did */
static volatile uint64_t caller;           /* a6 of the last */
static struct words asked, got;            /* of the client */
static volatile uint64_t client_done;
static uint64_t callee_registers[32];
static volatile uint64_t callee_sp, callee_tp;

static uint64_t own_slot(uint64_t index) { return EXO_CAP_HANDLE(sys_slot(0, index)->word, index); }

/* ---- servers ---- */

static void serve(struct words *words) {
    uint64_t handle = own_slot(CHILD_SLOT_FREE);
    switch (words->word[0]) {
    case EXIT: exo_exit();
    case FAULT: __asm__ volatile("ebreak"); break;
    case SLEEP: exo_wait(1, EXO_NEVER); break;
    case SPIN:
        while (!released) {
        }
        break;
    case YIELD:
        while (words->word[1]--) exo_yield(EXO_NONE);
        break;
    case CALL_ON: /* word 1 calls more below this one; the last asks for word 2 */
        if (--words->word[1] == 0) words->word[0] = words->word[2];
        words_call(words, handle);
        if (!words->from) words->word[1] = ~0ul;
        return;
    default: break;
    }
    for (int i = 0; i < 6; i++) words->word[i]++;
}

static void serves(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    struct words words = {{0}, 0};
    for (;;) {
        words_reply(&words);
        if (!words.from) {
            nocall++;
            continue;
        }
        caller = words.from;
        accepted++;
        serve(&words);
    }
}

/* Tells what was in its registers when a call came; the words are those of call_number(). */
static void serves_registers(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    static const uint64_t words[7] = {9, 8, 7, 6, 5, 4, 3};
    for (;;) call_number((uint64_t)EXO_CALL_pct_reply, words, callee_registers);
}

static void waits(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    for (;;) exo_wait(1, EXO_NEVER);
}

static void exits(uint64_t unused0, uint64_t unused1) {
    (void)unused0, (void)unused1;
    exo_exit();
}

/* One call by the handle in its slot, then sleep. */
static void calls(uint64_t index, uint64_t unused) {
    (void)unused;
    struct words words = asked;
    words_call(&words, own_slot(index));
    got = words;
    client_done = 1;
    for (;;) exo_wait(1, EXO_NEVER);
}

/* A server that accepts calls. */
static void server_begin(struct child *server) {
    if (child_make(server, 0) || child_start(server, serves, 0, 0)) check(false, "no server");
    run_until(server->env, EXO_STATE_ACCEPT);
}

/* ---- this program's own calls ---- */

static struct words answer;

static struct exo_result call_words(uint64_t env, bool until, struct words words) {
    if (until)
        words_call_until(&words, env, EXO_NEVER);
    else
        words_call(&words, env);
    answer = words;
    return (struct exo_result){words_result(&words), 0};
}

static struct exo_result call(uint64_t env, bool until) {
    return call_words(env, until, (struct words){{ECHO, 1, 2, 3, 4, 5}, 0});
}

static bool echoes(const struct child *server) {
    if (call(server->env, false).value != 1) return false;
    bool good = true;
    for (uint64_t i = 0; i < 6; i++) good &= answer.word[i] == i + 1;
    return good;
}

static void refusal_checks(void) {
    struct child dead, ready, waiting, *server = &servers[0];
    uint64_t weak = DONE("derive", exo_cap_derive(server->env, (uint64_t)mem_slot(), server->frame,
                                                  1, EXO_ENV_NOTIFY | EXO_ENV_CONTROL, 0, 1));
    child_make(&dead, 0);
    child_make(&ready, 0);
    child_make(&waiting, 0);
    child_start(&dead, exits, 0, 0);
    child_start(&waiting, waits, 0, 0);
    run_to_end(dead.env);
    check(run_until(waiting.env, EXO_STATE_WAIT), "one waits");
    uint64_t words = accepted;
    for (int until = 0; until < 2; until++) {
        TRY_HANDLES(SLOT, weak, "call", call(bad, until));
        REFUSED(CLASS, "call a PAGE", call(memory, until));
        REFUSED(SLOT, "call nothing", call(EXO_NONE, until));
        REFUSED(RIGHTS, "call without CALL", call(weak, until));
        REFUSED(DYING, "call the dead", call(dead.env, until));
        REFUSED(BUSY, "call what waits", call(waiting.env, until));
        REFUSED(STATE, "call what never started", call(ready.env, until));
    }
    child_start(&ready, serves, 0, 0);
    REFUSED(BUSY, "call what is ready", call(ready.env, false));
    REFUSED(BUSY, "call what is ready", call(ready.env, true));
    check(accepted == words, "no call came through");
    check(!child_end(&dead) && !child_end(&ready) && !child_end(&waiting), "they are reaped");
    REFUSED(SLOT, "call what is no more", call(dead.env, false));
    sys_cap_drop(weak, server->frame);
}

static void word_checks(void) {
    static const uint64_t values[] = {0, 1, ~0ul, 1ul << 63, 0xffffffffc0000000, EXO_VA_CTX};
    uint64_t wrong = 0, state = 1;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        struct words words = {{ECHO}, 0};
        for (int i = 1; i < 6; i++) {
            state = state * 6364136223846793005 + 1442695040888963407;
            words.word[i] = round < 36 ? values[(round + (uint64_t)i) % 6] : state;
        }
        if (call_words(servers[0].env, round & 1, words).value != 1) wrong++;
        for (int i = 0; i < 6; i++) wrong += answer.word[i] != words.word[i] + 1;
        wrong += caller != sys_env()->frame;
    }
    check(!wrong, "%d calls, six words both ways: %lu wrong", ROUNDS, wrong);
}

/* t0 to t6 and a7 hold what a program had there, or nothing: never what the kernel had. */
static uint64_t scratch_wrong(const uint64_t *registers) {
    static const int scratch[] = {5, 6, 7, 28, 29, 30, 31};
    uint64_t wrong = 0;
    for (int i = 0; i < 7; i++) {
        uint64_t value = registers[scratch[i]];
        wrong += value > 1 && value != PATTERN + (uint64_t)scratch[i];
    }
    return wrong + (registers[1] >= EXO_VA_LIMIT) + (registers[17] + 16 > 16);
}

static void register_checks(void) {
    static const int saved[] = {8, 9, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27};
    struct child server;
    child_make(&server, 0);
    child_start(&server, serves_registers, 0, 0);
    run_until(server.env, EXO_STATE_ACCEPT);
    uint64_t registers[32], arguments[7] = {11, 12, 13, 14, 15, 16, server.env};
    uint64_t kept = 0, zero = 0, words = 0, answers = 0, left = 0, sp;
    for (int round = 0; round < 100; round++) {
        memset(registers, 0, sizeof(registers));
        uint64_t number = (uint64_t)(round & 1 ? EXO_CALL_pct_call : EXO_CALL_pct_call_until);
        __asm__ volatile("mv %0, sp" : "=r"(sp));
        call_number(number, arguments, registers);
        /* t1 is the deadline: a number far away. */
        for (int i = 0; i < 12; i++) {
            kept += registers[saved[i]] != PATTERN + (uint64_t)saved[i];
            zero += callee_registers[saved[i]] != 0;
        }
        kept += registers[4] != PATTERN + 4 || registers[2] > sp || sp - registers[2] > 1024;
        zero += callee_registers[4] != PATTERN + 4;
        zero += SYS_VA_STACK_TOP - callee_registers[2] > 1024;
        for (uint64_t i = 0; i < 6; i++) words += callee_registers[10 + i] != arguments[i];
        words += callee_registers[16] != sys_env()->frame;
        for (uint64_t i = 0; i < 6; i++) answers += registers[10 + i] != 9 - i;
        answers += registers[16] != sys_env()->frame;
        left += scratch_wrong(registers) + scratch_wrong(callee_registers);
    }
    check(!kept, "sp, tp and s0 to s11 of the caller are kept: %lu not", kept);
    check(!zero, "the callee's s0 to s11 are zero, its sp and tp its own: %lu not", zero);
    check(!words, "a0 to a5 are the words and a6 the caller: %lu not", words);
    check(!answers, "and so are those of the answer: %lu not", answers);
    check(!left, "nothing of the kernel is left in the others: %lu times", left);
    check(child_end(&server) == 0, "the server is reaped");
}

/* ---- chains ---- */

/* Each server but the last may call the next by its first free slot. */
static void chain_checks(void) {
    for (int i = 1; i < CHILDREN; i++) server_begin(&servers[i]);
    for (int i = 0; i < CHILDREN - 1; i++)
        child_lend(servers[i].env, servers[i + 1].env, servers[i + 1].frame, 1, EXO_ENV_CALL, 0,
                   CHILD_SLOT_FREE);
    for (uint64_t calls_more = 1; calls_more < EXO_CHAIN_MAX; calls_more++) {
        struct exo_result result =
            call_words(servers[0].env, false, (struct words){{CALL_ON, calls_more, ECHO}, 0});
        check(result.value == 1 && answer.word[1] == 1 && answer.word[2] == 1,
              "a chain of %lu calls", calls_more + 1);
    }
    uint64_t before = accepted;
    call_words(servers[0].env, false, (struct words){{CALL_ON, EXO_CHAIN_MAX, ECHO}, 0});
    check(answer.from && (int64_t)answer.word[0] == EXO_EDEPTH &&
              accepted == before + EXO_CHAIN_MAX,
          "one more: %s", sys_error_name((int64_t)answer.word[0]));
    for (int i = 0; i < CHILDREN; i++)
        if (!echoes(&servers[i])) check(false, "server %d does not answer any more", i);

    /* A server that may call itself; and one that is further up. */
    sys_cap_revoke(servers[1].env, servers[1].frame);
    sys_cap_revoke(servers[2].env, servers[2].frame);
    for (uint64_t i = 0; i < 2; i++) { /* what was lent before is a tombstone there */
        struct child *server = &servers[i];
        child_end(server);
        server_begin(server);
    }
    child_lend(servers[0].env, servers[0].env, servers[0].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    call_words(servers[0].env, false, (struct words){{CALL_ON, 1, ECHO}, 0});
    check(answer.from && (int64_t)answer.word[0] == EXO_ELOOP, "a server that calls itself: %s",
          sys_error_name((int64_t)answer.word[0]));
    child_lend(servers[1].env, servers[0].env, servers[0].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    child_end(&servers[2]);
    server_begin(&servers[2]);
    child_lend(servers[2].env, servers[1].env, servers[1].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    call_words(servers[2].env, false, (struct words){{CALL_ON, 3, ECHO}, 0});
    check(answer.from && (int64_t)answer.word[0] == EXO_ELOOP,
          "one that calls itself at the end of a chain: %s",
          sys_error_name((int64_t)answer.word[0]));
    bool good = true;
    for (int i = 0; i < 3; i++) good &= echoes(&servers[i]);
    check(good, "all of them answer");
    for (int i = 1; i < CHILDREN; i++) good &= child_end(&servers[i]) == 0;
    check(good, "and are reaped");
}

/* Two servers that may call each other: the second would call who waits for it. */
static void circle_checks(void) {
    server_begin(&servers[1]);
    child_end(&servers[0]);
    server_begin(&servers[0]);
    child_lend(servers[0].env, servers[1].env, servers[1].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    child_lend(servers[1].env, servers[0].env, servers[0].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    for (uint64_t calls_more = 2; calls_more < 20; calls_more += 4) {
        call_words(servers[0].env, false, (struct words){{CALL_ON, calls_more, ECHO}, 0});
        if (!answer.from || (int64_t)answer.word[0] != EXO_ELOOP) break;
    }
    check(answer.from && (int64_t)answer.word[0] == EXO_ELOOP, "a circle of two: %s",
          sys_error_name((int64_t)answer.word[0]));
    check(echoes(&servers[0]) && echoes(&servers[1]), "both answer");
    child_end(&servers[1]);
    child_end(&servers[0]);
    server_begin(&servers[0]);
}

/* ---- calls that end without an answer ---- */

/* The client calls by a capability below `from`, and the server does as it is asked. */
static void client_calls(uint64_t from, uint64_t frame, uint64_t what, uint64_t more) {
    child_make(&client, 0);
    child_lend(client.env, from, frame, 1, EXO_ENV_CALL, 0, CHILD_SLOT_FREE);
    asked = (struct words){{what, more, SLEEP, 3, 4, 5}, 0};
    client_done = released = 0;
    child_start(&client, calls, CHILD_SLOT_FREE, 0);
    exo_yield(client.env);
}

/* Let the client run until its call has brought the server to this state. */
static void client_until(int64_t state) {
    run_until(client.env, EXO_STATE_CALLING);
    WAIT(state_of(servers[0].env) == state || (exo_yield(client.env), false));
}

static bool client_got(int64_t error) {
    bool came = WAIT((exo_yield(client.env), client_done != 0));
    return came && words_result(&got) == error;
}

/* All that `servers[0]` may be doing in a call. */
static const struct {
    const char *what;
    uint64_t order, more;
    int64_t state; /* of the server then */
} stays[] = {
    {"sleeps", SLEEP, 0, EXO_STATE_WAIT},
    {"is ready", YIELD, 20, EXO_STATE_READY},
    {"calls another", CALL_ON, 1, EXO_STATE_CALLING},
    {"has faulted", FAULT, 0, EXO_STATE_STOPPED},
};
#define STAYS (sizeof(stays) / sizeof(stays[0]))

static void stay_begin(unsigned i) {
    server_begin(&servers[0]);
    server_begin(&servers[1]);
    child_lend(servers[0].env, servers[1].env, servers[1].frame, 1, EXO_ENV_CALL, 0,
               CHILD_SLOT_FREE);
    client_calls(servers[0].env, servers[0].frame, stays[i].order, stays[i].more);
    client_until(stays[i].state);
    int64_t state = child_state(servers[0].env);
    check(state_of(client.env) == EXO_STATE_CALLING && (state & EXO_FLAG_INCALL) &&
              (state & EXO_STATE_MASK) == stays[i].state,
          "a server in a call %s (%#lx)", stays[i].what, state);
}

/* The server's call is over for the client; it goes on, its answer is lost, and it takes the next. */
static bool server_goes_on(unsigned i) {
    if (stays[i].order == FAULT) {
        if (exo_env_regs(servers[0].env, EXO_REGS_STOP).value) return false;
        if (child_start(&servers[0], serves, 0, 0)) return false;
    }
    if (stays[i].order == SLEEP) exo_notify(servers[0].env, 1);
    if (stays[i].order == CALL_ON) exo_notify(servers[1].env, 1);
    return run_until(servers[0].env, EXO_STATE_ACCEPT) &&
           !(child_state(servers[0].env) & EXO_FLAG_INCALL) && echoes(&servers[0]);
}

static void stay_end(void) {
    bool good = client.env ? child_end(&client) == 0 : true;
    if (servers[0].env) good &= child_end(&servers[0]) == 0;
    if (!good || child_end(&servers[1])) check(false, "something cannot be reaped");
}

static void kill_checks(unsigned i) {
    stay_begin(i);
    check(call(servers[0].env, false).value == (stays[i].order == FAULT ? EXO_ESTATE : EXO_EBUSY),
          "another call of it: %s", sys_error_name((int64_t)answer.word[0]));
    check(child_end(&servers[0]) == 0 && client_got(EXO_EBROKEN),
          "it is killed, its client gets: %s", sys_error_name((int64_t)got.word[0]));
    stay_end();

    stay_begin(i);
    check(child_end(&client) == 0, "the client is killed");
    check(server_goes_on(i), "the server goes on and takes the next call");
    stay_end();

    stay_begin(i);
    check(exo_env_regs(client.env, EXO_REGS_STOP).value == 0 &&
              state_of(client.env) == EXO_STATE_STOPPED,
          "the client is stopped");
    exo_env_regs(client.env, EXO_REGS_START);
    check(client_got(EXO_EBROKEN), "and gets when it starts: %s",
          sys_error_name((int64_t)got.word[0]));
    check(server_goes_on(i), "the server goes on and takes the next call");
    stay_end();
}

static void revoke_checks(unsigned i) {
    stay_begin(i);
    check(sys_cap_revoke(servers[0].env, servers[0].frame) == 0 && client_got(EXO_EBROKEN),
          "the capability of the call is revoked, the client gets: %s",
          sys_error_name((int64_t)got.word[0]));
    check(server_goes_on(i), "the server goes on and takes the next call");
    stay_end();
}

/* A call hangs on the capability it was made through, and on no other. */
static void other_revoked(void) {
    server_begin(&servers[0]);
    server_begin(&servers[1]);
    uint64_t a = DONE("derive", exo_cap_derive(servers[0].env, (uint64_t)mem_slot(),
                                               servers[0].frame, 1, EXO_ENV_CALL, 0, 0));
    uint64_t b = DONE("derive", exo_cap_derive(servers[0].env, (uint64_t)mem_slot(),
                                               servers[0].frame, 1, EXO_ENV_CALL, 0, 0));
    client_calls(a, servers[0].frame, SLEEP, 0);
    client_until(EXO_STATE_WAIT);
    child_lend(client.env, b, servers[0].frame, 1, EXO_ENV_CALL, 0, CHILD_SLOT_FREE + 1);
    check(sys_cap_drop(b, servers[0].frame) == 0 && state_of(client.env) == EXO_STATE_CALLING,
          "another capability of the client's is revoked, and the call goes on");
    exo_notify(servers[0].env, 1);
    check(client_got(1) && got.word[1] == 1, "to its answer");
    sys_cap_drop(a, servers[0].frame);
    stay_end();
}

/* A server that is stopped and started keeps its call. */
static void stop_checks(void) {
    for (unsigned i = 0; i < STAYS - 1; i++) {
        stay_begin(i);
        check(exo_env_regs(servers[0].env, EXO_REGS_STOP).value == 0 &&
                  state_of(client.env) == EXO_STATE_CALLING,
              "the server is stopped, the client waits");
        check(child_state(servers[0].env) == (EXO_STATE_STOPPED | EXO_FLAG_INCALL),
              "it still serves");
        check(exo_env_regs(servers[0].env, EXO_REGS_START).value == 0, "it is started");
        check(client_got(1), "and answers");
        if (stays[i].order == CALL_ON)
            check((int64_t)got.word[0] == EXO_EBROKEN, "its own call was: %s",
                  sys_error_name((int64_t)got.word[0]));
        exo_notify(servers[1].env, 1);
        run_until(servers[1].env, EXO_STATE_ACCEPT);
        check(echoes(&servers[0]) && echoes(&servers[1]), "both take the next call");
        stay_end();
    }
    server_begin(&servers[0]);
    uint64_t before = nocall;
    check(exo_env_regs(servers[0].env, EXO_REGS_STOP).value == 0, "one that accepts is stopped");
    REFUSED(STATE, "a call of it", call(servers[0].env, false));
    exo_env_regs(servers[0].env, EXO_REGS_START);
    check(run_until(servers[0].env, EXO_STATE_ACCEPT) && nocall == before + 1,
          "and gets NOCALL when it starts");
    check(echoes(&servers[0]), "it takes the next call");
    child_end(&servers[0]);
}

/* Who is blocked by a server can give it time: yield to the client runs the end of its chain. */
static void help_checks(void) {
    server_begin(&servers[0]);
    client_calls(servers[0].env, servers[0].frame, YIELD, 5);
    uint64_t turns = 1; /* it ran once already */
    while (!client_done && turns < 1000) {
        exo_yield(turns & 1 ? client.env : servers[0].env);
        turns++;
    }
    check(client_done && words_result(&got) == 1,
          "a server that yields 5 times is helped to its answer in %lu turns", turns);
    child_end(&client);
    child_end(&servers[0]);
}

/* ---- deadlines ---- */

static bool times_out(uint64_t order, uint64_t deadline) {
    struct words words = {{order, 1, SLEEP, 3, 4, 5}, 0};
    released = 0;
    words_call_until(&words, servers[0].env, deadline);
    answer = words;
    return words_result(&words) == EXO_ETIMEOUT && now() >= deadline;
}

static void deadline_checks(void) {
    if (!sys_env()->rows) {
        printf("# no row: deadlines are not tried\n");
        return;
    }
    static const uint64_t orders[] = {SPIN, SLEEP, CALL_ON, FAULT};
    static const char *const names[] = {"spins", "sleeps", "calls another", "has faulted"};
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned late = 0; late < 3; late++) {
            server_begin(&servers[0]);
            server_begin(&servers[1]);
            child_lend(servers[0].env, servers[1].env, servers[1].frame, 1, EXO_ENV_CALL, 0,
                       CHILD_SLOT_FREE);
            uint64_t deadline = late == 0   ? 0
                                : late == 1 ? now() + microseconds(50)
                                            : now() + microseconds(3000);
            check(times_out(orders[i], deadline), "a server %s until the deadline: %s", names[i],
                  sys_error_name((int64_t)answer.word[0]));
            int64_t value = call(servers[0].env, false).value;
            check(value == EXO_EBUSY || (i == 3 && value == EXO_ESTATE), "another call of it: %s",
                  sys_error_name(value));
            released = 1;
            WAIT((exo_yield(servers[0].env), state_of(servers[0].env) != EXO_STATE_READY));
            if (i == 3) {
                check(child_state(servers[0].env) & EXO_FLAG_FAULT, "it has faulted");
                child_start(&servers[0], serves, 0, 0);
            }
            if (i == 1) exo_notify(servers[0].env, 1);
            if (i == 2) exo_notify(servers[1].env, 1);
            WAIT((exo_yield(servers[1].env), exo_yield(servers[0].env),
                  state_of(servers[0].env) == EXO_STATE_ACCEPT));
            check(echoes(&servers[0]), "its late answer is lost, it takes the next call");
            child_end(&servers[0]);
            child_end(&servers[1]);
        }
    }
    server_begin(&servers[0]);
    struct words words = {{ECHO, 1, 2, 3, 4, 5}, 0};
    uint64_t good = 0;
    for (uint64_t i = 0; i < 1000; i++) {
        words.word[0] = ECHO;
        words_call_until(&words, servers[0].env, now() + 10 * PATIENCE * sys_info()->timebase_hz);
        good += words_result(&words) == 1 && words.word[0] == 1;
    }
    check(good == 1000, "answers in time: %lu of 1000", good);
    rest(microseconds(2000)); /* a deadline that was forgotten would do nothing now */
    check(echoes(&servers[0]), "and the server answers");
    child_end(&servers[0]);
}

/* ---- all harts call while servers are stopped, killed and revoked ---- */

static volatile uint64_t storm_end, storm_wrong, storm_answers, storm_errors, storm_out;

static void storms(uint64_t number, uint64_t unused) {
    (void)unused;
    uint64_t count = 0;
    while (!storm_end) {
        uint64_t index = CHILD_SLOT_FREE + count++ % STORM_SERVERS, tag = number << 32 | count;
        struct words words = {{count % 7 ? ECHO : YIELD, count % 3, tag, ~tag, 4, 5}, 0};
        if (count % 2)
            words_call(&words, own_slot(index));
        else
            words_call_until(&words, own_slot(index), now() + microseconds(100 + count % 300));
        if (words.from) {
            storm_wrong += words.word[2] != tag + 1 || words.word[3] != ~tag + 1;
            __atomic_fetch_add(&storm_answers, 1, __ATOMIC_RELAXED);
        } else {
            int64_t error = (int64_t)words.word[0];
            bool known = error == EXO_EBUSY || error == EXO_EBROKEN || error == EXO_ETIMEOUT ||
                         error == EXO_ESTATE || error == EXO_EDYING || error == EXO_ESLOT ||
                         error == EXO_ERANGE || error == EXO_ERIGHTS;
            storm_wrong += !known;
            if (error == EXO_ESLOT) exo_cap_drop(own_slot(index), 0); /* a tombstone */
            __atomic_fetch_add(&storm_errors, 1, __ATOMIC_RELAXED);
            exo_wait(0, now() + microseconds(20));
        }
    }
    __atomic_fetch_add(&storm_out, 1, __ATOMIC_RELEASE);
    exo_exit();
}

/* One more thing happens to a server. */
static void storm_step(uint64_t round) {
    struct child *server = &servers[round % STORM_SERVERS];
    switch (round / STORM_SERVERS % 4) {
    case 0:
        WAIT(exo_env_regs(server->env, EXO_REGS_STOP).value == 0);
        rest(microseconds(100));
        exo_env_regs(server->env, EXO_REGS_START);
        return;
    case 1: sys_cap_revoke(server->env, server->frame); return;
    case 2:
        child_end(server);
        server_begin(server);
        return;
    default: return;
    }
}

/* Lend each client what it has not or not any more: where there is something, nothing happens. */
static void storm_lend(struct child *clients, uint64_t count) {
    for (uint64_t i = 0; i < count; i++)
        for (uint64_t j = 0; j < STORM_SERVERS; j++)
            child_lend(clients[i].env, servers[j].env, servers[j].frame, 1, EXO_ENV_CALL, 0,
                       CHILD_SLOT_FREE + j);
}

static void storm_checks(void) {
    if (slice == EXO_NONE || !sys_env()->rows) {
        printf("# no rows of other harts: calls from all of them are not tried\n");
        return;
    }
    struct child clients[3];
    uint64_t count = sys_info()->hart_count - 1, rounds = 0;
    if (count > 3) count = 3;
    for (int i = 0; i < STORM_SERVERS; i++) server_begin(&servers[i]);
    storm_end = storm_out = 0;
    for (uint64_t i = 0; i < count; i++) {
        child_make(&clients[i], 0);
        child_start(&clients[i], storms, i + 1, 0);
        exo_slice_bind(slice, (i + 1) * EXO_ROWS + hart_row % EXO_ROWS, clients[i].env);
    }
    uint64_t end = now() + STORM_SECONDS * sys_info()->timebase_hz;
    for (; rounds < STORM_ROUNDS && now() < end; rounds++) {
        storm_lend(clients, count);
        rest(microseconds(500));
        storm_step(rounds);
    }
    storm_end = 1;
    bool ended = WAIT(storm_out == count), reaped = true;
    for (int i = 0; i < STORM_SERVERS; i++) reaped &= child_end(&servers[i]) == 0;
    for (uint64_t i = 0; i < count; i++) reaped &= child_end(&clients[i]) == 0;
    check(ended && reaped && !storm_wrong,
          "%lu harts call, %lu things happen to servers: %lu answers, %lu errors, %lu wrong", count,
          rounds, storm_answers, storm_errors, storm_wrong);
}

int main(void) {
    check_begin("hostile_pct");
    uint64_t row, rows;
    slice = sys_info()->hart_count > 1 ? child_rows(&row, &rows) : EXO_NONE;
    if (slice != EXO_NONE) hart_row = row + rows - 1;
    first = frame_alloc_range(16, 1, NULL);
    memory = frame_slot(first);
    warm(4 * CHILDREN);
    uint64_t before = check_use();
    server_begin(&servers[0]);
    refusal_checks();
    word_checks();
    register_checks();
    chain_checks();
    circle_checks();
    child_end(&servers[0]);
    for (unsigned i = 0; i < STAYS; i++) {
        kill_checks(i);
        revoke_checks(i);
    }
    other_revoked();
    stop_checks();
    help_checks();
    deadline_checks();
    storm_checks();
    check(check_use() == before, "nothing is lost");
    return check_end();
}
