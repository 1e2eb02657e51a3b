// The app in the tests' images: an HTTP server on each port of PORTS that answers with its version, and what a
// rolling update has to get through: slow answers, uploads, upgraded connections, half-closed streams.
package main

import (
	"bufio"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var stopping atomic.Bool
var open sync.WaitGroup
var sick atomic.Bool

func main() {
	mode := read("/MODE")
	switch mode {
	case "exit":
		fmt.Fprintln(os.Stderr, "no configuration")
		os.Exit(3)
	case "deaf":
		for {
			time.Sleep(time.Hour)
		}
	case "late":
		time.Sleep(2 * time.Second)
	}
	sick.Store(mode == "sick")
	ports := os.Getenv("PORTS")
	if ports == "" {
		ports = "8080,8081"
	}
	var servers []*http.Server
	var listeners []net.Listener
	for _, port := range strings.Split(ports, ",") {
		listener, err := net.Listen("tcp", ":"+port)
		if err != nil {
			panic(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(handle), ConnState: count}
		servers = append(servers, server)
		listeners = append(listeners, listener)
		go server.Serve(listener)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	<-term
	if mode == "stubborn" {
		time.Sleep(time.Hour)
	}
	// Each kept connection is told with its next answer; one that stays silent is not worth waiting for.
	stopping.Store(true)
	for _, listener := range listeners {
		listener.Close()
	}
	done := make(chan struct{})
	go func() { open.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
	}
}

func count(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		open.Add(1)
	case http.StateClosed:
		open.Done()
	}
}

func handle(w http.ResponseWriter, r *http.Request) {
	if stopping.Load() {
		w.Header().Set("Connection", "close")
	}
	switch r.URL.Path {
	case "/up":
		if sick.Load() {
			w.WriteHeader(503)
		}
		fmt.Fprintln(w, "up")
	case "/sick":
		sick.Store(true)
	case "/die":
		os.Exit(7)
	case "/slow":
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		identify(w)
	case "/upload":
		hash := sha256.New()
		size, err := io.Copy(hash, r.Body)
		if err != nil {
			w.WriteHeader(400)
			return
		}
		fmt.Fprintf(w, "%s %d %x\n", version(), size, hash.Sum(nil))
	case "/stream":
		mib, _ := strconv.Atoi(r.URL.Query().Get("mib"))
		block := make([]byte, 1<<20)
		w.Header().Set("Content-Length", strconv.Itoa(mib<<20))
		for i := 0; i < mib; i++ {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	case "/echo":
		echo(w)
	case "/half":
		half(w)
	case "/id":
		fmt.Fprintf(w, "%d:%d\n", os.Getuid(), os.Getgid())
	case "/env":
		fmt.Fprintln(w, os.Getenv(r.URL.Query().Get("name")))
	case "/client":
		fmt.Fprintln(w, r.RemoteAddr)
	default:
		identify(w)
	}
}

func identify(w io.Writer) {
	host, _ := os.Hostname()
	fmt.Fprintf(w, "%s %s\n", version(), host)
}

func take(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	// A hijacked connection leaves ConnState's count: it is counted as long as it is served.
	fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n")
	buffered.Flush()
	return conn, buffered
}

// Upgraded like a websocket: answers each line with the version and the line until the client says bye.
func echo(w http.ResponseWriter) {
	conn, buffered := take(w)
	defer open.Done()
	defer conn.Close()
	for {
		line, err := buffered.ReadString('\n')
		if err != nil || line == "bye\n" {
			return
		}
		fmt.Fprintf(conn, "%s %s", version(), line)
	}
}

// Reads until the client has closed its side, and only then answers, slowly.
func half(w http.ResponseWriter) {
	conn, buffered := take(w)
	defer open.Done()
	defer conn.Close()
	size, _ := io.Copy(io.Discard, buffered)
	for i := 0; i < 10; i++ {
		time.Sleep(200 * time.Millisecond)
		fmt.Fprintf(conn, "%s %d\n", version(), size)
	}
}

func version() string { return read("/VERSION") }

func read(path string) string {
	bytes, _ := os.ReadFile(path)
	return strings.TrimSpace(string(bytes))
}
