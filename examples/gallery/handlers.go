package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/nethttp"
)

// pageOf is how many photos a page of an album has.
const pageOf = 24

type app struct {
	store *core.Store
	db    *gorm.DB
	pages *pages
}

func (a *app) routes() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = a.fail
	e.Use(middleware.Recover(), visit, echomw.NewWithConfig(echomw.Config{Store: a.store, HTTP: nethttp.Config{Logger: slog.Default()}}))
	e.GET("/assets/*", echo.WrapHandler(a.pages.assets))
	e.GET("/", a.home)
	e.POST("/albums", a.newAlbum)
	album := e.Group("/albums/:album", a.findAlbum)
	album.GET("", a.album)
	album.POST("/delete", a.deleteAlbum)
	album.POST("/photos", a.addPhotos, echomw.Uploads(publicPhotos, privatePhotos))
	album.POST("/photos/:photo/delete", a.deletePhoto)
	for _, field := range []*core.Field{publicPhotos, privatePhotos} {
		// Where browsers ask before they send a file straight to the bucket: all who
		// visit may, since all may have albums.
		e.Any("/uploads/"+field.Name()+"*", echomw.Wrap(nethttp.Direct(field, nethttp.Anyone, nethttp.DirectConfig{})))
		// Where variants are made that are not there. Who has such a link may follow
		// it, as with a presigned URL, which it redirects to.
		e.GET(field.Config().LinkBase+":link/:name", echomw.Wrap(nethttp.Delivery{Mode: nethttp.Redirect}.Links(field, nethttp.Anyone)))
	}
	return e
}

// visit tells visitors apart, by a random cookie: it is what owns their albums, and
// the subject that their uploads are bound to.
func visit(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		cookie, err := c.Cookie("visitor")
		if err != nil || cookie.Value == "" {
			cookie = &http.Cookie{ //nolint:gosec // Secure where the page is
				Name: "visitor", Value: rand.Text(), Path: "/", MaxAge: 365 * 24 * 3600, HttpOnly: true,
				SameSite: http.SameSiteLaxMode, Secure: c.IsTLS(),
			}
			c.SetCookie(cookie)
		}
		c.SetRequest(c.Request().WithContext(core.WithSubject(c.Request().Context(), cookie.Value)))
		return next(c)
	}
}

func visitor(c echo.Context) string { return core.SubjectFrom(c.Request().Context()) }

func (a *app) rows(c echo.Context) *gorm.DB { return a.db.WithContext(c.Request().Context()) }

// findAlbum gives handlers the album of the path. All see a public one; who made it
// sees a private one, and alone changes either.
func (a *app) findAlbum(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		var album Album
		if err := a.rows(c).First(&album, "id = ? AND (public OR owner = ?)", c.Param("album"), visitor(c)).Error; err != nil {
			return missing(err)
		}
		album.Mine = album.Owner == visitor(c)
		if !album.Mine && c.Request().Method != http.MethodGet {
			return &core.Error{Kind: core.ErrForbidden, Op: "change album", Detail: "Only who made an album may change it."}
		}
		c.Set("album", album)
		return next(c)
	}
}

func found(c echo.Context) Album { return c.Get("album").(Album) }

// missing turns the database's word for a row that is not there into an answer.
func missing(err error) error {
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return &core.Error{Kind: core.ErrNotFound, Op: "find row", Detail: "There is no such album or photo, or it is somebody else's."}
	}
	return err
}

// covers are the albums that a visitor may see, each with its last four photos: one
// query for the albums, one for the photos of all.
func covers(db *gorm.DB, visitor string) (albums []Album, err error) {
	const newest = "id > COALESCE((SELECT id FROM photos p WHERE p.album_id = photos.album_id ORDER BY id DESC LIMIT 1 OFFSET 4), 0)"
	photos := func(db *gorm.DB) *gorm.DB { return db.Where(newest).Order("id DESC") }
	err = db.Preload("Photos", photos).Where("public OR owner = ?", visitor).Order("id DESC").Limit(200).Find(&albums).Error
	return albums, err
}

func (a *app) home(c echo.Context) error {
	albums, err := covers(a.rows(c), visitor(c))
	if err != nil {
		return err
	}
	return a.pages.write(c, http.StatusOK, "home", page{Title: "Albums", Albums: albums})
}

func (a *app) newAlbum(c echo.Context) error {
	title := strings.TrimSpace(c.FormValue("title"))
	if title == "" || len(title) > 200 {
		return core.Invalid{{Field: "title", Code: "required", Message: "An album has a title of at most 200 bytes."}}
	}
	album := Album{Title: title, Public: c.FormValue("public") != "", Owner: visitor(c), Created: time.Now()}
	if err := a.rows(c).Create(&album).Error; err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, album.Path())
}

func (a *app) album(c echo.Context) error {
	album := found(c)
	query := a.rows(c).Where("album_id = ?", album.ID)
	if before := c.QueryParam("before"); before != "" {
		query = query.Where("id < ?", before)
	}
	if err := query.Order("id DESC").Limit(pageOf + 1).Find(&album.Photos).Error; err != nil {
		return err
	}
	p := page{Title: album.Title}
	if len(album.Photos) > pageOf {
		album.Photos = album.Photos[:pageOf]
		p.Before = album.Photos[pageOf-1].ID
	}
	p.Album = &album
	return a.pages.write(c, http.StatusOK, "album", p)
}

// addPhotos takes files from the form. Whether the bytes came with it or went
// straight to the bucket makes no difference here.
func (a *app) addPhotos(c echo.Context) error {
	album := found(c)
	var form photoForm
	if err := c.Bind(&form); err != nil {
		return err
	}
	photos := form.photos(album.ID)
	if album.Public && len(form.Private) > 0 || !album.Public && len(form.Public) > 0 || len(photos) == 0 {
		return core.Invalid{{Field: album.Field().Name(), Code: "required", Message: "Choose photos for this album."}}
	}
	if err := a.rows(c).Create(&photos).Error; err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, album.Path())
}

// deletePhoto deletes a row. The file and its variants go with it.
func (a *app) deletePhoto(c echo.Context) error {
	var photo Photo
	if err := a.rows(c).First(&photo, "id = ? AND album_id = ?", c.Param("photo"), found(c).ID).Error; err != nil {
		return missing(err)
	}
	if err := a.rows(c).Delete(&photo).Error; err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, found(c).Path())
}

func (a *app) deleteAlbum(c echo.Context) error {
	album := found(c)
	var some []Photo
	err := a.rows(c).Where("album_id = ?", album.ID).FindInBatches(&some, 500, func(*gorm.DB, int) error {
		return a.rows(c).Delete(&some).Error
	}).Error
	if err == nil {
		err = a.rows(c).Delete(&album).Error
	}
	if err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// fail answers browsers with a page, and scripts with problem+json.
func (a *app) fail(err error, c echo.Context) {
	if !c.Response().Committed && strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
		problem := core.ProblemOf(echomw.HTTPError(err))
		if a.pages.write(c, problem.Status, "failed", page{Title: problem.Title, Problem: problem}) == nil {
			return
		}
	}
	echomw.ErrorHandler(err, c)
}
