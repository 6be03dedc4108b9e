// Command gin is the quick start on Gin.
package main

import (
	"context"
	"log"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/filefield/filefield/core"
	"github.com/filefield/filefield/fieldtype"
	"github.com/filefield/filefield/ginmw"
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

// Profile is form, JSON and database row in one, with rules for Gin's validator.
type Profile struct {
	Name   string                 `form:"name" json:"name" binding:"required"`
	Avatar fieldtype.File[Avatar] `form:"avatar" json:"avatar" binding:"required,image_max=4096x4096"`
}

func create(c *gin.Context) {
	var p Profile
	if err := c.ShouldBind(&p); err != nil {
		ginmw.Abort(c, err) // the file that was stored goes again
		return
	}
	c.JSON(http.StatusCreated, p)
}

func main() {
	if err := store.Startup(core.StartupConfig{}).Start(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := ginmw.PrepareValidator(); err != nil {
		log.Fatal(err)
	}
	r := gin.Default()
	r.Use(ginmw.New(store))
	r.POST("/profiles", ginmw.Uploads(avatars), create)
	log.Fatal(r.Run("127.0.0.1:8080"))
}
