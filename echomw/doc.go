// Package echomw mounts filefield in Echo v4 apps, in Echo's conventions. All it
// does is done by nethttp; handlers keep their c.Bind, validator and error
// handler.
//
//	e := echo.New()
//	e.Use(echomw.New(store))
//	e.POST("/profiles", create, echomw.Uploads(avatars))
//
//	func create(c echo.Context) error {
//		var p Profile // has a field Avatar fieldtype.File[Avatar] `form:"avatar"`
//		if err := c.Bind(&p); err != nil {
//			return err // the stored file goes again
//		}
//		…
//	}
package echomw
