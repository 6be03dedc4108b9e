// Command miniogo takes uploads as apps without this library do, with minio-go:
//
//	AK=… SK=… [CA=file.pem] miniogo WAY ADDR S3_ENDPOINT BUCKET
//
// The ways gin, echo and nethttp have the framework parse the whole form, and put
// the file that FormFile returns. reader and reader16 put the part as it comes out
// of the request's MultipartReader, of unknown length, in parts of minio-go's
// default size or of 16 MiB. limit parses nothing and checks nothing: it copies the
// request's body into one unsigned PUT. Less than that no server can do.
//
// POST /upload takes a form with a file in the field "file" (limit: the file), and
// answers 201.
package main

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"path"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"
	"github.com/labstack/echo/v4"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/filefield/filefield/bench/peers/serve"
)

func main() {
	serve.Main("miniogo", map[string]serve.Way{
		"gin": onGin, "echo": onEcho, "nethttp": onNetHTTP,
		"reader":   func(s serve.Storage) (http.Handler, error) { return onReader(s, 0) },
		"reader16": func(s serve.Storage) (http.Handler, error) { return onReader(s, 16<<20) },
		"limit":    limit,
	})
}

// bucket is a bucket and a client that knows its region.
type bucket struct {
	client *minio.Client
	name   string
}

func open(s serve.Storage) (bucket, error) {
	transport, err := s.Transport()
	if err != nil {
		return bucket{}, err
	}
	client, err := minio.New(s.Endpoint, &minio.Options{
		Creds:     credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""),
		Region:    "us-east-1",
		Secure:    s.CAFile != "",
		Transport: transport,
	})
	return bucket{client: client, name: s.Bucket}, err
}

// newKey makes a key that nobody guesses, with the file's extension.
func newKey(name string) string { return uuid.NewString() + path.Ext(name) }

// put stores the file of a parsed form.
func (b bucket) put(r *http.Request, header *multipart.FileHeader) (serve.Stored, error) {
	file, err := header.Open()
	if err != nil {
		return serve.Stored{}, err
	}
	defer file.Close()
	info, err := b.client.PutObject(r.Context(), b.name, newKey(header.Filename), file, header.Size,
		minio.PutObjectOptions{ContentType: header.Header.Get("Content-Type")})
	return serve.Stored{Key: info.Key, Size: info.Size}, err
}

func onNetHTTP(s serve.Storage) (http.Handler, error) {
	b, err := open(s)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		file, header, err := r.FormFile("file")
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer file.Close()
		stored, err := b.put(r, header)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		serve.Created(w, stored)
	})
	return mux, nil
}

func onEcho(s serve.Storage) (http.Handler, error) {
	b, err := open(s)
	if err != nil {
		return nil, err
	}
	e := echo.New()
	e.POST("/upload", func(c echo.Context) error {
		header, err := c.FormFile("file")
		if err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, err.Error())
		}
		stored, err := b.put(c.Request(), header)
		if err != nil {
			return err
		}
		return c.JSON(http.StatusCreated, stored)
	})
	return e, nil
}

func onGin(s serve.Storage) (http.Handler, error) {
	b, err := open(s)
	if err != nil {
		return nil, err
	}
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery())
	r.POST("/upload", func(c *gin.Context) {
		header, err := c.FormFile("file")
		if err != nil {
			c.String(http.StatusBadRequest, err.Error())
			return
		}
		stored, err := b.put(c.Request, header)
		if err != nil {
			c.String(http.StatusBadGateway, err.Error())
			return
		}
		c.JSON(http.StatusCreated, stored)
	})
	return r, nil
}

// onReader stores the file while it arrives. A part size of 0 is minio-go's own
// choice.
func onReader(s serve.Storage, partSize uint64) (http.Handler, error) {
	b, err := open(s)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		part, err := serve.FilePart(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		info, err := b.client.PutObject(r.Context(), b.name, newKey(part.FileName()), part, -1,
			minio.PutObjectOptions{ContentType: part.Header.Get("Content-Type"), PartSize: partSize})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		serve.Created(w, serve.Stored{Key: info.Key, Size: info.Size})
	})
	return mux, nil
}

func limit(s serve.Storage) (http.Handler, error) {
	b, err := open(s)
	if err != nil {
		return nil, err
	}
	core := minio.Core{Client: b.client}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /upload", func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength < 0 {
			http.Error(w, errNoLength.Error(), http.StatusLengthRequired)
			return
		}
		// struct{ io.Reader } so that nothing else of the body is looked for.
		info, err := core.PutObject(r.Context(), b.name, newKey("a.bin"), struct{ io.Reader }{r.Body}, r.ContentLength, "", "",
			minio.PutObjectOptions{DisableContentSha256: true})
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		serve.Created(w, serve.Stored{Key: info.Key, Size: r.ContentLength})
	})
	return mux, nil
}

var errNoLength = errors.New("one PUT needs the length")
