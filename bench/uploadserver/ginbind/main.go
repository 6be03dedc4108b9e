// Command ginbind is the upload server on Gin for an app that binds with nethttp.Bind
// in place of c.ShouldBind, and has Gin's validator unused: for one that is in use the
// linker keeps every method of all that is linked. See package app.
package main

import (
	"log/slog"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/bench/uploadserver/app"
	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/nethttp"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	app.Main("ginbind", handler)
}

func handler(store *core.Store, field *core.Field) http.Handler {
	c := ginmw.Config{Store: store, HTTP: nethttp.Config{Logger: slog.Default()}}
	r := gin.New()
	r.Use(gin.Recovery(), ginmw.NewWithConfig(c))
	r.POST("/upload", c.Uploads(field), create)
	r.GET("/files/*key", ginmw.Wrap(nethttp.Files(field, app.Find, nethttp.Anyone)))
	return r
}

func create(c *gin.Context) {
	var f app.Form
	if err := nethttp.Bind(c.Request, &f); err != nil {
		ginmw.Abort(c, err)
		return
	}
	answer, err := f.Answer()
	if err != nil {
		ginmw.Abort(c, err)
		return
	}
	c.JSON(http.StatusCreated, answer)
}
