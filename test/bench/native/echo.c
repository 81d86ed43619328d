/*
 * A server that echoes requests. Usage: echo FRONTEND
 */
#include "socket.h"

int main(int count, char **arguments)
{
    if (count != 2) {
        fail("usage", "echo FRONTEND");
    }
    void *socket = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
    check(zmq_bind(socket, arguments[1]), arguments[1]);
    printf("echo at %s\n", arguments[1]);
    fflush(stdout);
    for (;;) {
        echo_message(socket);
    }
}
