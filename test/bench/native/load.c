/*
 * The load: requests in a closed loop. Each client is a DEALER that keeps WINDOW requests in flight and sends one more for each
 * reply. Prints one JSON object: `Measured` in ../meter.ts.
 *
 * Usage: load ENDPOINT PID CLIENTS WINDOW BYTES WARM_UP_SECONDS SECONDS REQUESTS [PUBLIC_KEY SECRET_KEY SERVER_KEY]
 *
 * PID is the server, whose CPU time is measured. The measurement begins after WARM_UP_SECONDS, and ends after SECONDS or, if
 * earlier, after REQUESTS replies.
 */
#include "socket.h"
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The largest batch of one socket, so that no client waits for long. */
#define BATCH_SIZE 64

/* Latencies of a second and more are counted as one second. */
#define MAX_MICROS 1000000

/* The time after which a reply is lost. */
#define PATIENCE_MILLIS 10000

struct job {
    const char *endpoint;
    const char *pid;
    int clients;
    int window;
    size_t bytes;
    double warm_up_seconds;
    double seconds;
    int64_t requests;
    char **keys;
};

/* CPU time in milliseconds: of the server, and of its main thread, which runs the event loop. NaN without /proc. */
struct cpu {
    double all;
    double loop;
};

struct run {
    enum { WARM_UP, MEASURED, OVER } phase;
    int64_t started_at;
    int64_t phase_end;
    int64_t measured_nanos;
    struct cpu cpu;
    int64_t replies;
    int64_t all_replies;
    uint32_t latencies[MAX_MICROS + 1];
};

static int64_t now_nanos(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t) time.tv_sec * 1000000000 + time.tv_nsec;
}

static int64_t add_seconds(int64_t nanos, double seconds)
{
    double sum = (double) nanos + seconds * 1e9;
    return sum < 9e18 ? (int64_t) sum : INT64_MAX;
}

/* Adds utime and stime, fields 14 and 15. The name of the program is in parentheses and may contain blanks. */
static double read_cpu(const char *path)
{
    char text[1024];
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return NAN;
    }
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *fields = strrchr(text, ')');
    unsigned long user, system;
    if (fields == NULL || sscanf(fields, ") %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %lu %lu", &user, &system) != 2) {
        return NAN;
    }
    return (double) (user + system) * 1000 / (double) sysconf(_SC_CLK_TCK);
}

static struct cpu cpu_of(const char *pid)
{
    char all[64], loop[64];
    snprintf(all, sizeof all, "/proc/%s/stat", pid);
    snprintf(loop, sizeof loop, "/proc/%s/task/%s/stat", pid, pid);
    return (struct cpu) { read_cpu(all), read_cpu(loop) };
}

/* Sends the current time, padded, as a REQ client sends a request. */
static void send_request(void *socket, char *request, size_t bytes)
{
    int64_t now = now_nanos();
    memcpy(request, &now, sizeof now);
    check(zmq_send(socket, "", 0, ZMQ_SNDMORE), "send");
    check(zmq_send(socket, request, bytes, 0), "send");
}

/* Receives a reply. Returns the time in it, or 0 if there is none. */
static int64_t receive_reply(void *socket, size_t bytes, int flags)
{
    char frame[sizeof(int64_t)];
    int length = zmq_recv(socket, frame, sizeof frame, flags);
    if (length < 0 && zmq_errno() == EAGAIN) {
        return 0;
    }
    check(length, "receive");
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    if (length != 0 || !more) {
        fail("a reply", "no empty frame in front of it");
    }
    int64_t sent_at;
    length = check(zmq_recv(socket, frame, sizeof frame, 0), "receive");
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    memcpy(&sent_at, frame, sizeof sent_at);
    if ((size_t) length != bytes || more || sent_at <= 0 || sent_at > now_nanos()) {
        fail("a reply", "not the request");
    }
    return sent_at;
}

/* Connects and waits for a first reply: the connection is complete then. */
static void *connect_client(void *context, const struct job *job, char *request)
{
    int unlimited = 0, none = 0, patience = PATIENCE_MILLIS;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    if (socket == NULL) {
        fail("socket", zmq_strerror(zmq_errno()));
    }
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &unlimited, sizeof unlimited);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, sizeof patience);
    if (job->keys != NULL) {
        const int options[] = { ZMQ_CURVE_PUBLICKEY, ZMQ_CURVE_SECRETKEY, ZMQ_CURVE_SERVERKEY };
        for (int i = 0; i < 3; i++) {
            check(zmq_setsockopt(socket, options[i], job->keys[i], strlen(job->keys[i])), "key");
        }
    }
    check(zmq_connect(socket, job->endpoint), job->endpoint);
    send_request(socket, request, job->bytes);
    if (receive_reply(socket, job->bytes, 0) == 0) {
        fail(job->endpoint, "no reply in time");
    }
    return socket;
}

static void begin_next_phase(struct run *run, const struct job *job, int64_t now)
{
    struct cpu cpu = cpu_of(job->pid);
    if (run->phase == WARM_UP) {
        run->phase = MEASURED;
        run->started_at = now;
        run->phase_end = add_seconds(now, job->seconds);
        run->cpu = cpu;
    } else {
        run->phase = OVER;
        run->phase_end = INT64_MAX;
        run->measured_nanos = now - run->started_at;
        run->cpu = (struct cpu) { cpu.all - run->cpu.all, cpu.loop - run->cpu.loop };
    }
}

/* Counts a reply. Returns whether another request has to be sent. */
static int count_reply(struct run *run, const struct job *job, int64_t sent_at)
{
    int64_t now = now_nanos();
    run->all_replies++;
    if (now >= run->phase_end || (run->phase == MEASURED && run->replies >= job->requests)) {
        begin_next_phase(run, job, now);
    }
    if (run->phase == MEASURED) {
        int64_t micros = (now - sent_at + 500) / 1000;
        run->latencies[micros < MAX_MICROS ? micros : MAX_MICROS]++;
        run->replies++;
    }
    return run->phase != OVER;
}

static void run_loop(struct run *run, const struct job *job, zmq_pollitem_t *items, char *request)
{
    int64_t in_flight = (int64_t) job->clients * job->window;
    for (int64_t i = 0; i < in_flight; i++) {
        send_request(items[i % job->clients].socket, request, job->bytes);
    }
    while (in_flight > 0) {
        if (check(zmq_poll(items, job->clients, PATIENCE_MILLIS), "poll") == 0) {
            fail(job->endpoint, "no reply in time");
        }
        for (int i = 0; i < job->clients; i++) {
            void *socket = items[i].socket;
            int64_t sent_at;
            for (int k = 0; items[i].revents && k < BATCH_SIZE; k++) {
                if ((sent_at = receive_reply(socket, job->bytes, ZMQ_DONTWAIT)) == 0) {
                    break;
                }
                if (count_reply(run, job, sent_at)) {
                    send_request(socket, request, job->bytes);
                } else {
                    in_flight--;
                }
            }
        }
    }
}

static void print_number(const char *name, double value)
{
    if (isnan(value)) {
        printf("\"%s\":null,", name);
    } else {
        printf("\"%s\":%.6f,", name, value);
    }
}

static void print_result(const struct run *run)
{
    printf("{\"replies\":%" PRId64 ",\"allReplies\":%" PRId64 ",", run->replies, run->all_replies);
    print_number("seconds", (double) run->measured_nanos / 1e9);
    print_number("cpu", run->cpu.all);
    print_number("loopCpu", run->cpu.loop);
    printf("\"latencies\":[");
    const char *separator = "";
    for (int micros = 0; micros <= MAX_MICROS; micros++) {
        if (run->latencies[micros] > 0) {
            printf("%s[%d,%" PRIu32 "]", separator, micros, run->latencies[micros]);
            separator = ",";
        }
    }
    puts("]}");
}

int main(int count, char **arguments)
{
    if (count != 9 && count != 12) {
        fail("usage", "load ENDPOINT PID CLIENTS WINDOW BYTES WARM_UP_SECONDS SECONDS REQUESTS [KEYS]");
    }
    const struct job job = {
        .endpoint = arguments[1],
        .pid = arguments[2],
        .clients = atoi(arguments[3]),
        .window = atoi(arguments[4]),
        .bytes = (size_t) atol(arguments[5]),
        .warm_up_seconds = atof(arguments[6]),
        .seconds = atof(arguments[7]),
        .requests = atoll(arguments[8]),
        .keys = count == 12 ? arguments + 9 : NULL
    };
    if (job.clients < 1 || job.window < 1 || job.bytes < sizeof(int64_t)) {
        fail("usage", "at least one client, one request in flight and 8 bytes");
    }
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, job.clients + 16);
    char *request = calloc(1, job.bytes);
    zmq_pollitem_t *items = calloc((size_t) job.clients, sizeof *items);
    for (int i = 0; i < job.clients; i++) {
        items[i] = (zmq_pollitem_t) { .socket = connect_client(context, &job, request), .events = ZMQ_POLLIN };
    }
    /* Each client has received one reply to connect. */
    static struct run run;
    run.all_replies = job.clients;
    run.phase_end = add_seconds(now_nanos(), job.warm_up_seconds);
    run_loop(&run, &job, items, request);
    print_result(&run);
    return 0;
}
