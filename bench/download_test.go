package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/labstack/echo/v4"
	"github.com/minio/minio-go/v7"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/nethttp"
)

const downloadSize = 1 << 30

// BenchmarkDownload sends 1 GiB from the null sink through an app to a client
// that throws it away: by ServeFile, and by as bare a handler as there is, which
// copies from minio-go's Core.GetObject. Both ends are in this process, as they
// are the same for all; the sink is not.
func BenchmarkDownload(b *testing.B) {
	endpoint := startSink(b)
	zeros, err := core.ParseKey(fmt.Sprintf("zeros/%d", int64(downloadSize)))
	if err != nil {
		b.Fatal(err)
	}
	field := newField(b, endpoint)
	object := core.Object{Bucket: bucket, Key: zeros, Name: "zeros.bin", Type: "application/octet-stream", Size: downloadSize}
	serve := nethttp.Files(field, func(*http.Request) (core.Object, error) { return object, nil }, nethttp.Anyone)
	bare := minio.Core{Client: newClient(b, endpoint)}
	e := echo.New()
	e.GET("/", echomw.Wrap(serve))
	gin.SetMode(gin.ReleaseMode)
	g := gin.New()
	g.GET("/", ginmw.Wrap(serve))
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"io.Copy from Core.GetObject", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, info, _, err := bare.GetObject(r.Context(), bucket, zeros.String(), minio.GetObjectOptions{})
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			defer body.Close()
			w.Header().Set("Content-Type", info.ContentType)
			w.Header().Set("Content-Length", fmt.Sprint(info.Size))
			io.Copy(w, body)
		})},
		{"net/http", nethttp.Handle(serve)},
		{"net/http below the middleware", nethttp.Middleware(nethttp.Handle(serve))},
		{"Echo", e},
		{"Gin", g},
	} {
		b.Run(c.name, func(b *testing.B) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			address := server.Listener.Addr().String()
			b.SetBytes(downloadSize)
			b.ReportAllocs()
			for b.Loop() {
				if n, err := download(b.Context(), address); err != nil || n != downloadSize {
					b.Fatalf("%d bytes came, %v", n, err)
				}
			}
		})
	}
}

// download reads the answer of "/" as cheaply as can be, and returns how long its
// body was.
func download(ctx context.Context, address string) (int64, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(5 * time.Minute)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n"); err != nil {
		return 0, err
	}
	buffer := make([]byte, 256<<10)
	n, err := conn.Read(buffer) // the head comes first, and is short
	if err != nil {
		return 0, err
	}
	_, body, found := bytes.Cut(buffer[:n], []byte("\r\n\r\n"))
	if !found {
		return 0, errors.New("the head came in pieces")
	}
	total := int64(len(body))
	for {
		n, err := conn.Read(buffer)
		total += int64(n)
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
