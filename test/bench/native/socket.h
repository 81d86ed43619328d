/*
 * What the programs of the benchmark share. An error ends the process.
 */
#ifndef SOCKET_H
#define SOCKET_H

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

static inline void fail(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

/* Checks the result of a function of libzmq, and returns it. */
static inline int check(int result, const char *what)
{
    if (result < 0) {
        fail(what, zmq_strerror(zmq_errno()));
    }
    return result;
}

/* Waits for a message and sends it back, frame by frame. */
static inline void echo_message(void *socket)
{
    int more;
    do {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        check(zmq_msg_recv(&frame, socket, 0), "receive");
        more = zmq_msg_more(&frame);
        check(zmq_msg_send(&frame, socket, more ? ZMQ_SNDMORE : 0), "send");
    } while (more);
}

#endif
