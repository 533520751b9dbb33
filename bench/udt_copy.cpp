// SPDX-License-Identifier: Apache-2.0
//
// UDT (libudt, packaged as libudt-dev) from memory to memory, for comparison in bench/run only:
//
//   udt_copy receive PORT            takes one connection; prints its bytes and seconds as JSON
//   udt_copy send ADDRESS PORT SECONDS [MSS]
//
// Buffers are as large as a long fast path needs, so that none of them is the limit.
#include <arpa/inet.h>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <udt/udt.h>
#include <vector>

static const int BUFFER = 256 << 20;
static const int PIECE = 1 << 20;

static double now()
{
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

static int fail(const char *what)
{
    std::fprintf(stderr, "udt_copy: %s: %s\n", what, UDT::getlasterror().getErrorMessage());
    return 1;
}

static void prepare(UDTSOCKET socket, int mss)
{
    int packets = BUFFER / mss;
    int udp_buffer = 8 << 20;
    linger none = {0, 0};
    UDT::setsockopt(socket, 0, UDT_MSS, &mss, sizeof mss);
    UDT::setsockopt(socket, 0, UDT_FC, &packets, sizeof packets);
    UDT::setsockopt(socket, 0, UDT_SNDBUF, &BUFFER, sizeof BUFFER);
    UDT::setsockopt(socket, 0, UDT_RCVBUF, &BUFFER, sizeof BUFFER);
    UDT::setsockopt(socket, 0, UDP_SNDBUF, &udp_buffer, sizeof udp_buffer);
    UDT::setsockopt(socket, 0, UDP_RCVBUF, &udp_buffer, sizeof udp_buffer);
    UDT::setsockopt(socket, 0, UDT_LINGER, &none, sizeof none);
}

static int receive(int port)
{
    UDTSOCKET listener = UDT::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    prepare(listener, 1500);
    if (UDT::bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) == UDT::ERROR ||
        UDT::listen(listener, 1) == UDT::ERROR)
        return fail("cannot listen");
    int len = sizeof address;
    UDTSOCKET peer = UDT::accept(listener, reinterpret_cast<sockaddr *>(&address), &len);
    if (peer == UDT::INVALID_SOCK)
        return fail("nobody came");
    std::vector<char> piece(PIECE);
    unsigned long long bytes = 0;
    double first = 0, last = 0;
    for (;;) {
        int got = UDT::recv(peer, piece.data(), PIECE, 0);
        if (got == UDT::ERROR)
            break; // the sender is done
        last = now();
        if (first == 0)
            first = last;
        bytes += static_cast<unsigned long long>(got);
    }
    std::printf("{\"bytes\": %llu, \"seconds\": %.3f}\n", bytes, last - first);
    return 0;
}

static int send(const char *host, int port, double seconds, int mss)
{
    UDTSOCKET socket = UDT::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
        return 2;
    prepare(socket, mss);
    if (UDT::connect(socket, reinterpret_cast<sockaddr *>(&address), sizeof address) == UDT::ERROR)
        return fail("cannot connect");
    std::vector<char> piece(PIECE, 'x');
    for (double end = now() + seconds; now() < end;) {
        if (UDT::send(socket, piece.data(), PIECE, 0) == UDT::ERROR)
            return fail("cannot send");
    }
    UDT::close(socket);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 2;
    UDT::startup();
    if (argc == 3 && std::strcmp(argv[1], "receive") == 0)
        status = receive(std::atoi(argv[2]));
    else if ((argc == 5 || argc == 6) && std::strcmp(argv[1], "send") == 0)
        status = send(argv[2], std::atoi(argv[3]), std::atof(argv[4]), argc == 6 ? std::atoi(argv[5]) : 1500);
    else
        std::fprintf(stderr, "usage: udt_copy receive PORT | send ADDRESS PORT SECONDS [MSS]\n");
    UDT::cleanup();
    return status;
}
