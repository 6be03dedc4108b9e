// Command gin is the documents app on Gin.
//
//	go run ./examples/gin
//	curl -F title=Cat -F file=@cat.png http://127.0.0.1:8080/documents
//
// See examples/nethttp for what it needs and what the environment may set.
package main

import (
	"log/slog"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/examples/documents"
	"github.com/filefield/filefield/ginmw"
	"github.com/filefield/filefield/nethttp"
)

func main() {
	if err := documents.Run(routes); err != nil {
		slog.Error("the app ended with an error", "error", err)
		os.Exit(1)
	}
}

type app struct{ *documents.App }

// routes ties paths to handlers. The middleware of ginmw gives each request a
// file transaction: files that a request stored are removed again unless it is
// answered with a status below 400. uploads takes the files out of a form and
// leaves tokens in their place, for c.ShouldBind.
func routes(docs *documents.App) http.Handler {
	a := &app{docs}
	config := ginmw.Config{
		Store:        docs.Store,
		HTTP:         nethttp.Config{Limits: nethttp.Limits{Request: documents.MaxRequest}, Logger: slog.Default()},
		ErrorHandler: a.fail,
	}
	uploads := config.Uploads(docs.Fields...)

	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Use(gin.Recovery(), ginmw.NewWithConfig(config))
	r.GET("/", a.list)
	r.GET("/healthz", gin.WrapH(nethttp.Live()))
	r.GET("/readyz", gin.WrapH(nethttp.Ready(docs.Store)))

	for _, f := range docs.Fields { // files that browsers send straight to the bucket
		direct := ginmw.Wrap(nethttp.Direct(f, documents.HasSession, nethttp.DirectConfig{}))
		r.POST("/uploads/"+f.Name(), direct)
		r.Any("/uploads/"+f.Name()+"/*step", direct)
	}

	g := r.Group("/documents")
	g.GET("", a.list)
	g.GET("/:id", a.show)
	g.DELETE("/:id", a.remove)
	g.POST("/:id/delete", a.remove) // from the page's form
	g.Match([]string{http.MethodGet, http.MethodHead}, "/:id/file", a.file)

	writes := g.Group("", a.formsAndJSON, uploads)
	writes.POST("", a.create)
	writes.PATCH("/:id", a.change)
	writes.POST("/:id", a.change) // from the page's form
	return r
}

// formsAndJSON refuses other bodies, which c.ShouldBind would take for forms
// without values.
func (a *app) formsAndJSON(c *gin.Context) {
	switch c.ContentType() {
	case gin.MIMEJSON, gin.MIMEPOSTForm, gin.MIMEMultipartPOSTForm:
	default:
		a.fail(c, &core.Error{Kind: core.ErrType, Op: "read request", Detail: "the body is neither a form nor JSON"})
	}
}

func (a *app) create(c *gin.Context) {
	var d documents.Document
	if err := c.ShouldBind(&d.Form); err != nil {
		a.fail(c, err)
		return
	}
	if err := d.Validate(); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Rows.Insert(c.Request.Context(), &d); err != nil {
		a.fail(c, err)
		return
	}
	if documents.WantsPage(c.Request) {
		c.Redirect(http.StatusSeeOther, "/")
		return
	}
	c.Header("Location", d.Path())
	c.JSON(http.StatusCreated, d)
}

func (a *app) show(c *gin.Context) {
	d, err := a.load(c)
	switch {
	case err != nil:
		a.fail(c, err)
	case documents.WantsPage(c.Request):
		a.page(c, documents.Page{Document: &d})
	default:
		c.JSON(http.StatusOK, d)
	}
}

func (a *app) list(c *gin.Context) {
	after, limit, err := documents.ParsePage(c.Request.URL.Query())
	if err != nil {
		a.fail(c, err)
		return
	}
	list, next, err := a.Rows.List(c.Request.Context(), after, limit)
	switch {
	case err != nil:
		a.fail(c, err)
	case documents.WantsPage(c.Request) || c.FullPath() == "/":
		a.page(c, documents.Page{Documents: list, Next: next})
	default:
		c.JSON(http.StatusOK, gin.H{"documents": list, "next": next})
	}
}

// change sets what the request brings and leaves the rest. Files that are
// replaced or cleared are removed when the row is stored, not before.
func (a *app) change(c *gin.Context) {
	d, err := a.load(c)
	if err != nil {
		a.fail(c, err)
		return
	}
	patch := documents.Patch{Form: d.Form}
	if err := c.ShouldBind(&patch); err != nil {
		a.fail(c, err)
		return
	}
	if err := a.Change(c.Request.Context(), &d, patch); err != nil {
		a.fail(c, err)
		return
	}
	if documents.WantsPage(c.Request) {
		c.Redirect(http.StatusSeeOther, d.Path())
		return
	}
	c.JSON(http.StatusOK, d)
}

func (a *app) remove(c *gin.Context) {
	if err := a.Rows.Delete(c.Request.Context(), documents.ID(c.Param("id"))); err != nil {
		a.fail(c, err)
		return
	}
	if documents.WantsPage(c.Request) {
		c.Redirect(http.StatusSeeOther, "/")
		return
	}
	c.Status(http.StatusNoContent)
}

// file passes the document's file through the app, for clients that cannot
// reach the bucket.
func (a *app) file(c *gin.Context) {
	d, err := a.load(c)
	if err == nil {
		err = nethttp.ServeFile(c.Writer, c.Request, documents.FileField{}.FileField(), d.File.Object())
	}
	if err != nil {
		a.fail(c, err)
	}
}

// load returns the document that the request's path names.
func (a *app) load(c *gin.Context) (documents.Document, error) {
	return a.Rows.Get(c.Request.Context(), documents.ID(c.Param("id")))
}

func (a *app) page(c *gin.Context, page documents.Page) {
	if err := page.Write(c.Writer, c.Request, http.StatusOK); err != nil {
		ginmw.Abort(c, err)
	}
}

// fail answers a failed request: with the form again for a browser, else with
// problem+json.
func (a *app) fail(c *gin.Context, err error) {
	if documents.WantsPage(c.Request) {
		var sent documents.Form
		_ = c.ShouldBind(&sent) // as far as it goes
		problem := core.ProblemOf(nethttp.BindError(c.Request, err))
		if a.FailedPage(c.Request, c.Param("id"), sent, problem).Write(c.Writer, c.Request, problem.Status) == nil {
			_ = c.Error(err) // for the log; returns what it was given
			c.Abort()
			return
		}
	}
	ginmw.Abort(c, err)
}
