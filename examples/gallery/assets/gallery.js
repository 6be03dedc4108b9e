// The gallery's own script: photos go into the album as soon as they are in the
// bucket, the list goes on by itself, and a photo opens in a dialog. Without it the
// page works with forms and links.

const list = document.getElementById('photos-list')
const form = document.getElementById('upload')
const lightbox = document.getElementById('lightbox')

// fetchPage returns a page of the app as a document, or throws what is wrong.
async function fetchPage(url, options = {}) {
  const r = await fetch(url, { ...options, headers: { Accept: 'application/problem+json, */*;q=0.5' } })
  if (!r.ok) {
    const problem = await r.json().catch(() => ({}))
    throw new Error(problem.errors?.[0]?.message || problem.detail || problem.title || 'That did not work.')
  }
  return new DOMParser().parseFromString(await r.text(), 'text/html')
}

function tell(text) {
  const fault = form?.querySelector('.fault')
  if (!fault) return
  fault.textContent = text
  fault.hidden = !text
}

// take puts the photos of another page of this album into this one.
function take(page, place) {
  const fresh = [...page.querySelectorAll('.photo')].filter((li) => !document.getElementById(li.id)).map((li) => document.importNode(li, true))
  list[place](...fresh)
  if (fresh.length) document.getElementById('none')?.remove()
}

if (form) {
  await customElements.whenDefined('filefield-upload')
  const element = form.querySelector('filefield-upload')
  const name = new URL(element.getAttribute('endpoint'), location.href).pathname.split('/').pop()
  form.classList.add('live') // photos are added as they arrive: no button is needed
  let queue = Promise.resolve()
  element.addEventListener('filefield-uploaded', ({ detail: { upload } }) => {
    queue = queue.then(async () => {
      try {
        const page = await fetchPage(form.action, { method: 'POST', body: new URLSearchParams({ [name]: upload.token }) })
        upload.state = 'aborted' // it is the album's: taking it off the list removes nothing
        element.discard(upload)
        take(page, 'prepend')
        tell('')
      } catch (error) {
        tell(error.message)
      }
    })
  })
}

// The list goes on when its end comes near.
const more = document.getElementById('more')
if (more) {
  let loading = false
  new IntersectionObserver(async ([entry], observer) => {
    if (!entry.isIntersecting || loading) return
    loading = true
    try {
      const page = await fetchPage(more.href)
      take(page, 'append')
      const next = page.getElementById('more')
      if (next) more.setAttribute('href', next.getAttribute('href'))
      else more.parentNode.remove()
      observer.unobserve(more)
      if (next) observer.observe(more)
    } catch { /* the link is still there */ }
    loading = false
  }, { rootMargin: '800px' }).observe(more)
}

// The lightbox.
let shown = null
function show(li) {
  if (!li) return
  shown = li
  const { large, download } = li.querySelector('a').dataset
  const small = li.querySelector('img')
  const big = lightbox.querySelector('img')
  big.onerror = () => { // it is too large for variants, or damaged
    big.onerror = null
    big.src = small.src
  }
  big.src = large
  big.alt = small.alt
  lightbox.querySelector('span').textContent = small.alt
  lightbox.querySelector('p a').href = download
  lightbox.querySelector('.previous').disabled = !li.previousElementSibling
  lightbox.querySelector('.next').disabled = !li.nextElementSibling
  if (!lightbox.open) lightbox.showModal()
}

list?.addEventListener('click', (e) => {
  const link = e.target.closest('.photo > a')
  if (!link || e.metaKey || e.ctrlKey || e.shiftKey) return
  e.preventDefault()
  show(link.parentNode)
})
if (lightbox) {
  lightbox.querySelector('.close').onclick = () => lightbox.close()
  lightbox.querySelector('.previous').onclick = () => show(shown.previousElementSibling)
  lightbox.querySelector('.next').onclick = () => show(shown.nextElementSibling)
  lightbox.addEventListener('keydown', (e) => {
    if (e.key === 'ArrowLeft') show(shown.previousElementSibling)
    if (e.key === 'ArrowRight') show(shown.nextElementSibling)
  })
  lightbox.addEventListener('click', (e) => { if (e.target === lightbox) lightbox.close() })
  lightbox.addEventListener('close', () => shown?.querySelector('a')?.focus())
}

// Deleting leaves the reader where they are.
document.addEventListener('submit', async (e) => {
  const question = e.target.dataset.confirm
  if (question && !confirm(question)) return e.preventDefault()
  const li = e.target.closest('.photo')
  if (!li) return
  e.preventDefault()
  const neighbour = li.nextElementSibling ?? li.previousElementSibling
  try {
    await fetchPage(e.target.action, { method: 'POST' })
    li.remove()
    ;(neighbour?.querySelector('a') ?? document.getElementById('photos'))?.focus()
  } catch (error) {
    tell(error.message)
  }
})
