// Package ginmw mounts filefield in Gin apps, in Gin's conventions. All it does
// is done by nethttp; handlers keep their c.ShouldBind and validator.
//
//	r := gin.New()
//	r.Use(ginmw.New(store))
//	r.POST("/profiles", ginmw.Uploads(avatars), create)
//
//	func create(c *gin.Context) {
//		var p Profile // has a field Avatar fieldtype.File[Avatar] `form:"avatar"`
//		if err := c.ShouldBind(&p); err != nil {
//			ginmw.Abort(c, err) // the stored file goes again
//			return
//		}
//		…
//	}
package ginmw
