package main

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"gorm.io/gorm"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/nethttp"
)

// pageOf is how many photos a page of an album has.
const pageOf = 24

type app struct {
	store *core.Store
	db    *gorm.DB
	pages *pages
}

func routes(a *app) (http.Handler, error) {
	var err error
	if a.pages, err = newPages(a.store); err != nil {
		return nil, err
	}
	e := echo.New()
	e.HTTPErrorHandler = a.fail
	e.Use(middleware.Recover(), who, echomw.NewWithConfig(echomw.Config{Store: a.store, HTTP: nethttp.Config{Logger: slog.Default()}}))
	e.GET("/assets/*", echo.WrapHandler(a.pages.assets))
	e.GET("/", a.home)
	e.POST("/albums", a.newAlbum)
	e.GET("/albums/:id", a.album)
	e.POST("/albums/:id/photos", a.addPhotos, echomw.Uploads(publicPhotos, privatePhotos))
	e.POST("/albums/:id/delete", a.deleteAlbum)
	e.POST("/photos/:id/delete", a.deletePhoto)
	// Where browsers ask before they send a file straight to the bucket.
	for _, field := range []*core.Field{publicPhotos, privatePhotos} {
		e.Any("/uploads/"+field.Name()+"*", echomw.Wrap(nethttp.Direct(field, known, nethttp.DirectConfig{})))
	}
	return e, nil
}

// who tells visitors apart, by a random cookie: it is what owns their albums, and
// the subject that their uploads are bound to.
func who(next echo.HandlerFunc) echo.HandlerFunc {
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

// known lets those upload who have been here: the cookie came with the page.
func known(r *http.Request, _ core.Object) error {
	if cookie, err := r.Cookie("visitor"); err != nil || cookie.Value == "" {
		return &core.Error{Kind: core.ErrForbidden, Op: "upload", Detail: "Open the gallery first."}
	}
	return nil
}

func visitor(c echo.Context) string { return core.SubjectFrom(c.Request().Context()) }

func (a *app) rows(c echo.Context) *gorm.DB { return a.db.WithContext(c.Request().Context()) }

func (a *app) home(c echo.Context) error {
	var albums []Album
	if err := a.rows(c).Where("public OR owner = ?", visitor(c)).Order("id DESC").Limit(200).Find(&albums).Error; err != nil {
		return err
	}
	covers := make([]cover, len(albums))
	for i, album := range albums {
		covers[i].Album = album
		if err := a.rows(c).Where("album_id = ?", album.ID).Order("id DESC").Limit(4).Find(&covers[i].Photos).Error; err != nil {
			return err
		}
	}
	return a.pages.write(c, http.StatusOK, "home", page{Title: "Albums", Covers: covers})
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

// find returns the album of the path, if the visitor may see it.
func (a *app) find(c echo.Context) (album Album, err error) {
	id, _ := strconv.ParseUint(c.Param("id"), 10, 64)
	if err = a.rows(c).First(&album, "id = ? AND (public OR owner = ?)", id, visitor(c)).Error; errors.Is(err, gorm.ErrRecordNotFound) {
		err = &core.Error{Kind: core.ErrNotFound, Op: "find album", Detail: "There is no such album, or it is somebody else's."}
	}
	return album, err
}

// own returns the album with this id, if it is the visitor's.
func own(c echo.Context, album Album) error {
	if album.Owner != visitor(c) {
		return &core.Error{Kind: core.ErrForbidden, Op: "change album", Detail: "Only who made an album may change it."}
	}
	return nil
}

func (a *app) album(c echo.Context) error {
	album, err := a.find(c)
	if err != nil {
		return err
	}
	query := a.rows(c).Where("album_id = ?", album.ID)
	if before, err := strconv.ParseUint(c.QueryParam("before"), 10, 64); err == nil {
		query = query.Where("id < ?", before)
	}
	var photos []Photo
	if err := query.Order("id DESC").Limit(pageOf + 1).Find(&photos).Error; err != nil {
		return err
	}
	p := page{Title: album.Title, Album: &album, Mine: own(c, album) == nil, Photos: photos[:min(pageOf, len(photos))]}
	if len(photos) > pageOf {
		p.Before = photos[pageOf-1].ID
	}
	return a.pages.write(c, http.StatusOK, "album", p)
}

// addPhotos takes files from the form. Whether the bytes came with it or went
// straight to the bucket makes no difference here.
func (a *app) addPhotos(c echo.Context) error {
	album, err := a.find(c)
	if err == nil {
		err = own(c, album)
	}
	if err != nil {
		return err // what came with the form goes again
	}
	var form photoForm
	if err := c.Bind(&form); err != nil {
		return err
	}
	var photos []Photo
	for _, file := range form.Public {
		photos = append(photos, Photo{AlbumID: album.ID, Public: fieldtype.Image[Public]{File: file}})
	}
	for _, file := range form.Private {
		photos = append(photos, Photo{AlbumID: album.ID, Private: fieldtype.Image[Private]{File: file}})
	}
	if album.Public && len(form.Private) > 0 || !album.Public && len(form.Public) > 0 || len(photos) == 0 {
		return core.Invalid{{Field: album.Field().Name(), Code: "required", Message: "Choose photos for this album."}}
	}
	if err := a.rows(c).Create(&photos).Error; err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, album.Path())
}

func (a *app) deletePhoto(c echo.Context) error {
	var photo Photo
	id, _ := strconv.ParseUint(c.Param("id"), 10, 64)
	if err := a.rows(c).First(&photo, id).Error; err != nil {
		return &core.Error{Kind: core.ErrNotFound, Op: "delete photo", Detail: "There is no such photo.", Err: err}
	}
	var album Album
	if err := a.rows(c).First(&album, photo.AlbumID).Error; err != nil {
		return err
	}
	if err := own(c, album); err != nil {
		return err
	}
	if err := a.rows(c).Delete(&photo).Error; err != nil { // its file goes with it
		return err
	}
	return c.Redirect(http.StatusSeeOther, album.Path())
}

func (a *app) deleteAlbum(c echo.Context) error {
	album, err := a.find(c)
	if err == nil {
		err = own(c, album)
	}
	if err != nil {
		return err
	}
	for {
		var photos []Photo
		if err := a.rows(c).Where("album_id = ?", album.ID).Limit(500).Find(&photos).Error; err != nil {
			return err
		}
		if len(photos) == 0 {
			break
		}
		if err := a.rows(c).Delete(&photos).Error; err != nil {
			return err
		}
	}
	if err := a.rows(c).Delete(&album).Error; err != nil {
		return err
	}
	return c.Redirect(http.StatusSeeOther, "/")
}

// fail answers browsers with a page, and scripts with problem+json.
func (a *app) fail(err error, c echo.Context) {
	if c.Response().Committed || !strings.Contains(c.Request().Header.Get("Accept"), "text/html") {
		echomw.ErrorHandler(err, c)
		return
	}
	problem := core.ProblemOf(echomw.HTTPError(err))
	if a.pages.write(c, problem.Status, "failed", page{Title: problem.Title, Problem: problem}) != nil {
		echomw.ErrorHandler(err, c)
	}
}
