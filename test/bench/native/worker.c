/*
 * A worker that echoes requests. Usage: worker BACKEND ...
 */
#include "socket.h"

int main(int count, char **arguments)
{
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_REP);
    for (int i = 1; i < count; i++) {
        check(zmq_connect(socket, arguments[i]), arguments[i]);
    }
    puts("a worker");
    fflush(stdout);
    for (;;) {
        echo_message(socket);
    }
}
