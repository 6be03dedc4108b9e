// Command echo is the quick start on Echo.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/go-playground/validator/v10"
	"github.com/labstack/echo/v4"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/echomw"
	"github.com/filefield/filefield/fieldtype"
)

var store = core.MustOpen(core.ConfigFromEnv()) // MINIO_ENDPOINT, …; no network here

// Declared once, as Django's FileField(storage=…, upload_to=…).
var avatars = store.Field(core.FieldConfig{
	Name:     "avatar",
	Bucket:   "avatars",                            // private unless declared public
	UploadTo: core.Strftime("avatars/%Y/%m/", nil), // a random name under the month
	MaxSize:  5 * core.MiB,
	Accept:   core.Images, // sniffed, not believed
})

// Avatar is the field as a type.
type Avatar struct{}

// FileField returns the declared field.
func (Avatar) FileField() *core.Field { return avatars }

// Profile is form, JSON and database row in one, with rules for the validator.
type Profile struct {
	Name   string                 `form:"name" json:"name" validate:"required"`
	Avatar fieldtype.File[Avatar] `form:"avatar" json:"avatar" validate:"required,image_max=4096x4096"`
}

func create(c echo.Context) error {
	var p Profile
	if err := c.Bind(&p); err != nil {
		return err
	}
	if err := c.Validate(&p); err != nil {
		return err // the file that was stored goes again
	}
	return c.JSON(http.StatusCreated, p)
}

func main() {
	if err := store.Startup(core.StartupConfig{}).Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	e := echo.New()
	e.HTTPErrorHandler = echomw.ErrorHandler
	e.Validator = echomw.Validator(validator.New())
	e.Use(echomw.New(store))
	e.POST("/profiles", create, echomw.Uploads(avatars))
	log.Fatal(e.Start("127.0.0.1:8080"))
}
