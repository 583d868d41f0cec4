// Go's net/http as both ends of HTTP/2.
//
//	http2peer serve [CERTIFICATE KEY]   prints its port, and does what paths say
//	http2peer ask URL [CA]              asks a server that does the same, and prints how many checks held
//	http2peer plain                     prints whether it can do without TLS
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	log.SetFlags(0)
	arguments := append(os.Args[1:], "", "", "")
	switch arguments[0] {
	case "serve":
		log.Fatal(serve(arguments[1], arguments[2]))
	case "ask":
		ask(arguments[1], arguments[2])
	case "plain":
		fmt.Println(hasPlain)
	default:
		log.Fatal("usage: http2peer serve [CERTIFICATE KEY] | ask URL [CA] | plain")
	}
}

var cancelled sync.Map

func serve(certificate, key string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: http.HandlerFunc(answer), ErrorLog: log.New(io.Discard, "", 0)}
	if certificate != "" {
		return server.ServeTLS(listener, certificate, key)
	}
	plainServer(server)
	return server.Serve(listener)
}

func answer(w http.ResponseWriter, r *http.Request) {
	name, argument, _ := strings.Cut(r.URL.Path[1:], "/")
	flush := w.(http.Flusher).Flush
	switch name {
	case "echo":
		w.Header().Set("Trailer", "X-Digest, X-Came")
		w.WriteHeader(200)
		digest := sha256.New()
		if _, err := io.Copy(io.MultiWriter(w, digest), r.Body); err != nil {
			panic(http.ErrAbortHandler)
		}
		w.Header().Set("X-Digest", hex.EncodeToString(digest.Sum(nil)))
		w.Header().Set("X-Came", r.Trailer.Get("X-Sent"))
	case "hints":
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.WriteString(w, "hinted")
	case "slow":
		milliseconds, _ := strconv.Atoi(argument)
		time.Sleep(time.Duration(milliseconds) * time.Millisecond)
		io.WriteString(w, "slow")
	case "hangs":
		io.WriteString(w, "some")
		flush()
		<-r.Context().Done()
		cancelled.Store(argument, true)
	case "cancelled":
		_, is := cancelled.Load(argument)
		fmt.Fprint(w, is)
	case "breaks":
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "some")
		flush()
		panic(http.ErrAbortHandler)
	case "asked":
		version := fmt.Sprintf("%d.%d", r.ProtoMajor, r.ProtoMinor)
		json.NewEncoder(w).Encode(map[string]any{"version": version})
	default:
		http.NotFound(w, r)
	}
}

// All that can go wrong ends the program.
func must(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

func same(got, wanted any, what string) {
	if got != wanted {
		log.Fatalf("%s is %v, not %v", what, got, wanted)
	}
}

type client struct {
	http http.Client
	url  string
}

func (c *client) send(ctx context.Context, path string, body io.Reader, trailer http.Header) *http.Response {
	method := "GET"
	if body != nil {
		method = "POST"
	}
	request, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	must(err, path)
	request.Trailer = trailer
	if trailer != nil {
		request.ContentLength = -1
	}
	response, err := c.http.Do(request)
	must(err, path)
	same(response.Proto, "HTTP/2.0", "the version of "+path)
	return response
}

func (c *client) text(path string, body io.Reader) string {
	response := c.send(context.Background(), path, body, nil)
	all, err := io.ReadAll(response.Body)
	must(err, path)
	response.Body.Close()
	return string(all)
}

func ask(url, authority string) {
	transport := &http.Transport{ForceAttemptHTTP2: true}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		must(err, authority)
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(pem)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	} else {
		plainClient(transport)
	}
	c := &client{http: http.Client{Transport: transport}, url: url}
	same(c.text("/slow/1", nil), "slow", "the answer to GET")
	c.trailers()
	c.manyAtOnce()
	c.hints()
	c.givesUp()
	if response, err := c.http.Get(url + "/breaks"); err == nil {
		if _, err = io.ReadAll(response.Body); err == nil {
			log.Fatal("a body that breaks off is no error")
		}
	}
	var asked struct{ Version string }
	must(json.Unmarshal([]byte(c.text("/asked", nil)), &asked), "asked")
	same(asked.Version, "2.0", "what the server says of the version")
	fmt.Println("7 checks")
}

// Trailers in both directions, around a MiB.
func (c *client) trailers() {
	data := make([]byte, 1<<20)
	rand.Read(data)
	digest := sha256.Sum256(data)
	trailer := http.Header{"X-Sent": {"after all"}}
	response := c.send(context.Background(), "/echo", bytes.NewReader(data), trailer)
	echoed, err := io.ReadAll(response.Body)
	must(err, "echo")
	same(bytes.Equal(echoed, data), true, "that a MiB is echoed")
	same(response.Trailer.Get("X-Digest"), hex.EncodeToString(digest[:]), "the digest in the trailers")
	same(response.Trailer.Get("X-Came"), "after all", "what came of our trailers")
}

func (c *client) manyAtOnce() {
	var all sync.WaitGroup
	for number := 0; number < 100; number++ {
		text := fmt.Sprintf("number %d", number)
		all.Add(1)
		go func() {
			defer all.Done()
			same(c.text("/echo", strings.NewReader(text)), text, "one of a hundred")
		}()
	}
	all.Wait()
}

// 103 before 200.
func (c *client) hints() {
	var seen []int
	trace := &httptrace.ClientTrace{Got1xxResponse: func(status int, _ textproto.MIMEHeader) error {
		seen = append(seen, status)
		return nil
	}}
	response := c.send(httptrace.WithClientTrace(context.Background(), trace), "/hints", nil, nil)
	all, err := io.ReadAll(response.Body)
	must(err, "hints")
	same(string(all), "hinted", "what is hinted")
	same(fmt.Sprint(seen), "[103]", "what came before it")
}

// A request that is given up, and one beside it that is not.
func (c *client) givesUp() {
	beside := make(chan string)
	go func() { beside <- c.text("/slow/300", nil) }()
	ctx, cancel := context.WithCancel(context.Background())
	response := c.send(ctx, "/hangs/go", nil, nil)
	some := make([]byte, 4)
	_, err := io.ReadFull(response.Body, some)
	must(err, "hangs")
	cancel()
	_, err = response.Body.Read(some)
	same(errors.Is(err, context.Canceled), true, "that it is given up")
	same(<-beside, "slow", "the one beside it")
	for c.text("/cancelled/go", nil) != "true" {
		time.Sleep(10 * time.Millisecond)
	}
}
