// Command echo is the documents app on Echo.
//
//	go run ./examples/echo
//	curl -F title=Cat -F file=@cat.png http://127.0.0.1:8080/documents
//
// See examples/nethttp for what it needs and what the environment may set.
package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/examples/documents"
	"github.com/filefield/filefield/nethttp"
)

func main() {
	if err := documents.Run(routes); err != nil {
		slog.Error("the app ended with an error", "error", err)
		os.Exit(1)
	}
}

type app struct{ *documents.App }

// routes ties paths to handlers. The middleware of echomw gives each request a
// file transaction: files that a request stored are removed again unless it is
// answered with a status below 400. uploads takes the files out of a form and
// leaves tokens in their place, for c.Bind.
func routes(docs *documents.App) http.Handler {
	a := &app{docs}
	config := echomw.Config{
		Store: docs.Store,
		HTTP:  nethttp.Config{Limits: nethttp.Limits{Request: documents.MaxRequest}, Logger: slog.Default()},
	}
	uploads := config.Uploads(docs.Fields...)

	e := echo.New()
	e.HTTPErrorHandler = a.fail
	e.Validator = validator{}
	e.Use(middleware.Recover(), echomw.NewWithConfig(config))
	e.GET("/", a.list)
	e.GET("/healthz", echo.WrapHandler(nethttp.Live()))
	e.GET("/readyz", echo.WrapHandler(nethttp.Ready(docs.Store)))

	for _, f := range docs.Fields { // files that browsers send straight to the bucket
		direct := echomw.Wrap(nethttp.Direct(f, documents.HasSession, nethttp.DirectConfig{}))
		e.POST("/uploads/"+f.Name(), direct)
		e.Any("/uploads/"+f.Name()+"/*", direct)
	}

	g := e.Group("/documents")
	g.GET("", a.list)
	g.POST("", a.create, uploads)
	g.GET("/:id", a.show)
	g.PATCH("/:id", a.change, uploads)
	g.POST("/:id", a.change, uploads) // from the page's form
	g.DELETE("/:id", a.remove)
	g.POST("/:id/delete", a.remove) // from the page's form
	g.Match([]string{http.MethodGet, http.MethodHead}, "/:id/file", a.file)
	return e
}

// validator has c.Validate apply the model's own rules, which all of the example
// apps share.
type validator struct{}

// Validate is Echo's interface.
func (validator) Validate(v any) error { return v.(interface{ Validate() error }).Validate() }

func (a *app) create(c echo.Context) error {
	var d documents.Document
	if err := c.Bind(&d.Form); err != nil {
		return err
	}
	if err := c.Validate(&d); err != nil {
		return err
	}
	if err := a.Rows.Insert(c.Request().Context(), &d); err != nil {
		return err
	}
	if documents.WantsPage(c.Request()) {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	c.Response().Header().Set(echo.HeaderLocation, d.Path())
	return c.JSON(http.StatusCreated, d)
}

func (a *app) show(c echo.Context) error {
	d, err := a.load(c)
	if err != nil {
		return err
	}
	if documents.WantsPage(c.Request()) {
		return documents.Page{Document: &d}.Write(c.Response(), c.Request(), http.StatusOK)
	}
	return c.JSON(http.StatusOK, d)
}

func (a *app) list(c echo.Context) error {
	after, limit, err := documents.ParsePage(c.QueryParams())
	if err != nil {
		return err
	}
	list, next, err := a.Rows.List(c.Request().Context(), after, limit)
	if err != nil {
		return err
	}
	if documents.WantsPage(c.Request()) || c.Path() == "/" {
		return documents.Page{Documents: list, Next: next}.Write(c.Response(), c.Request(), http.StatusOK)
	}
	return c.JSON(http.StatusOK, map[string]any{"documents": list, "next": next})
}

// change sets what the request brings and leaves the rest. Files that are
// replaced or cleared are removed when the row is stored, not before.
func (a *app) change(c echo.Context) error {
	d, err := a.load(c)
	if err != nil {
		return err
	}
	patch := documents.Patch{Form: d.Form}
	if err := c.Bind(&patch); err != nil {
		return err
	}
	if err := a.Change(c.Request().Context(), &d, patch); err != nil {
		return err
	}
	if documents.WantsPage(c.Request()) {
		return c.Redirect(http.StatusSeeOther, d.Path())
	}
	return c.JSON(http.StatusOK, d)
}

func (a *app) remove(c echo.Context) error {
	if err := a.Rows.Delete(c.Request().Context(), documents.ID(c.Param("id"))); err != nil {
		return err
	}
	if documents.WantsPage(c.Request()) {
		return c.Redirect(http.StatusSeeOther, "/")
	}
	return c.NoContent(http.StatusNoContent)
}

// file passes the document's file through the app, for clients that cannot
// reach the bucket.
func (a *app) file(c echo.Context) error {
	d, err := a.load(c)
	if err != nil {
		return err
	}
	return nethttp.ServeFile(c.Response(), c.Request(), documents.FileField{}.FileField(), d.File.Object())
}

// load returns the document that the request's path names.
func (a *app) load(c echo.Context) (documents.Document, error) {
	return a.Rows.Get(c.Request().Context(), documents.ID(c.Param("id")))
}

// fail is Echo's error handler: it answers with the form again for a browser,
// else with problem+json.
func (a *app) fail(err error, c echo.Context) {
	if documents.WantsPage(c.Request()) && !c.Response().Committed {
		var sent documents.Form
		_ = c.Bind(&sent) // as far as it goes
		problem := core.ProblemOf(echomw.HTTPError(err))
		if a.FailedPage(c.Request(), c.Param("id"), sent, problem).Write(c.Response(), c.Request(), problem.Status) == nil {
			return
		}
	}
	echomw.ErrorHandler(err, c)
}
