// Package exchange makes HTTP/1.1 requests whose bodies are small and in memory.
// net/http's Transport has a goroutine that writes each connection and one that reads
// it, and hands a request from one to the other and back, for the sake of bodies that
// are long in coming and answers that come before their end. A small body in memory is
// neither: here the goroutine that makes the request writes all of it with one system
// call and waits for the answer itself. It costs about half the CPU.
//
//	pool := exchange.Pool{Dial: (&net.Dialer{Timeout: 10 * time.Second}).DialContext}
//	defer pool.CloseIdle()
//	r := &http.Request{Method: "PUT", URL: u, Host: u.Host, Header: header, ContentLength: size}
//	answer, err := pool.Do(ctx, r, net.Buffers{body}, nil)
//	if err != nil {
//		return err
//	}
//	defer answer.Body.Close()
//
// It knows no proxies, redirects, cookies, HTTP/2, trailers and no "Expect": whoever
// needs them, or has a body of more than MaxBody, takes net/http, and so does whoever is
// not on Linux (Supported). The answer is parsed by net/http.
package exchange
