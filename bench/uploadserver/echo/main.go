// Command echo is the upload server on Echo; see package app.
package main

import (
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/bench/uploadserver/app"
	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/nethttp"
)

func main() { app.Main("echo", handler) }

func handler(store *core.Store, field *core.Field) http.Handler {
	c := echomw.Config{Store: store, HTTP: nethttp.Config{Logger: slog.Default()}}
	e := echo.New()
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Use(echomw.NewWithConfig(c))
	e.POST("/upload", create, c.Uploads(field))
	e.GET("/files/*", echomw.Wrap(nethttp.Files(field, app.Find, nethttp.Anyone)))
	return e
}

func create(c echo.Context) error {
	var f app.Form
	if err := c.Bind(&f); err != nil {
		return err
	}
	answer, err := f.Answer()
	if err != nil {
		return err
	}
	return c.JSON(http.StatusCreated, answer)
}
