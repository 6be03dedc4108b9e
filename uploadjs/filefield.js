// filefield.js sends the files of a form straight to the bucket: see the package
// uploadjs, and docs/direct.md for what is said between here and the app.

const PREFIX = 'filefield:' // of what is kept in localStorage
const BATCH = 20 // URLs of parts that are asked for at a time: they expire
const FILES = 2 // files of an element that are sent at a time
const CHECKED = 32 << 20 // bytes of a file up to which its checksum goes with it: larger ones are sent in parts
const MARGIN = 60_000 // milliseconds that a kept ticket has to live

/** What the elements say. Assign other texts before the first one is there. */
export const texts = {
  drop: 'or drop files here',
  sending: 'Uploading', waiting: 'Waiting', paused: 'Paused', done: 'Uploaded', checking: 'Checking',
  retrying: 'The connection was lost. Trying again…',
  pause: 'Pause', resume: 'Resume', retry: 'Try again', remove: 'Remove', discard: 'Discard',
  empty: 'The file is empty.', large: 'The file is too large. At most {0} are taken.', type: 'Files of this type are not taken.',
  network: 'The connection was lost.', storage: 'Storage did not take the file.', failed: 'The upload failed.',
  unfinished: '{0} was interrupted at {1} %. Choose it again to go on.',
  hold: 'The form is sent once all files are uploaded.',
  label: '{0}: {1}', // a button and its file, a file and its state
}

const sum = (sizes) => [...sizes.values()].reduce((a, b) => a + b, 0)
const say = (text, ...values) => text.replace(/\{(\d)\}/g, (_, n) => values[n])

/** Why an upload failed, in words for its user. */
export class UploadError extends Error {
  constructor(message, status = 0, retry = false, after = 0) {
    super(message)
    Object.assign(this, { status, retry, after })
  }
}

/** One file on its way. It dispatches "change" whenever something about it changes. */
export class Upload extends EventTarget {
  state = 'waiting' // sending, paused, done, failed, aborted
  retrying = false
  token = ''
  error = null
  result = null // what the app says of the file once it has looked at it
  #stop = new AbortController()
  #last = null // the run before
  #turn = 0
  #ticket = null
  #have = new Map() // sizes of the parts that have arrived
  #flying = new Map() // bytes sent of what is on its way

  constructor(file, endpoint, options = {}) {
    super()
    Object.assign(this, { file, endpoint: endpoint.replace(/\/$/, ''), retries: 6, parallel: 3, delay: 500, stall: 60_000, headers: {}, form: undefined }, options)
  }

  /** Where the state of a file sent in parts is kept. */
  get key() { return `${PREFIX}${this.endpoint}:${this.file.name}:${this.file.size}:${this.file.lastModified}` }

  /** Bytes that have been sent. */
  get sent() {
    return this.state === 'done' ? this.file.size : Math.min(sum(this.#have) + sum(this.#flying), this.file.size)
  }

  /** Begins, goes on after pause, or tries again. */
  async start() {
    if (this.state !== 'waiting' && this.state !== 'paused' && this.state !== 'failed') return
    const turn = ++this.#turn
    this.error = null
    this.#set('sending')
    await this.#last // what was stopped a moment ago sees that it was
    if (turn === this.#turn && this.state === 'sending') await (this.#last = this.#try())
  }

  async #try() {
    const stop = (this.#stop = new AbortController())
    try {
      await this.#run()
      keep(this.key)
      this.#set('done')
    } catch (error) {
      if (stop.signal.aborted) return // pause and abort have said so
      stop.abort() // what else is on its way
      this.#flying.clear()
      this.retrying = false
      this.error = error instanceof UploadError ? error : new UploadError(texts.failed)
      this.#set('failed')
    }
  }

  /** Stops for now. Parts that have arrived stay. */
  pause() {
    if (this.state !== 'sending' && this.state !== 'waiting') return
    this.#halt('paused')
  }

  /** Stops for good: what has been sent is removed. */
  async abort() {
    if (this.state === 'aborted') return
    const ticket = this.#ticket
    this.#halt('aborted')
    keep(this.key)
    this.#stop = new AbortController()
    if (ticket) await this.#post('/abort', { token: this.token || ticket.token }).catch(() => {}) // the bucket's lifecycle does it then
  }

  #halt(state) {
    this.#stop.abort()
    this.#flying.clear()
    this.#set(state)
  }

  #set(state = this.state) {
    this.state = state
    this.dispatchEvent(new Event('change'))
  }

  async #run() {
    this.#ticket ??= kept(this.key)
    if (this.#ticket && Date.parse(this.#ticket.expires) < Date.now() + MARGIN) this.#ticket = null
    if (this.#ticket?.method === 'MULTIPART' && !(await this.#goOn())) {
      if (this.token) return
      this.#ticket = null
    }
    if (!this.#ticket) {
      const { name, size, type } = this.file
      this.#have.clear()
      const crc32c = size > CHECKED ? undefined : await checksum(this.file)
      this.#ticket = await this.#call('', { name, size, type, crc32c, form: this.form })
    }
    for (let round = 0; ; round++) {
      await (this.#ticket.method === 'MULTIPART' ? this.#parts(this.#ticket) : this.#whole(this.#ticket))
      try {
        return await this.#complete()
      } catch (error) {
        if (error.status === 409 && this.#ticket.method === 'MULTIPART' && round < 2) await this.#again(() => this.#list())
        else { // the app has looked, and does not take it
          keep(this.key)
          if (error.status >= 400 && error.status < 500) this.#ticket = null
          throw error
        }
      }
    }
  }

  // What had been begun goes on where it was. False if it is over: completed,
  // with only the answer lost, or gone.
  async #goOn() {
    try {
      await this.#again(() => this.#list())
      return true
    } catch (error) {
      if (!(error.status >= 400 && error.status < 500)) throw error
    }
    if (await this.#complete().then(() => true, () => false)) return false
    keep(this.key)
    return false
  }

  async #complete() {
    const answer = await this.#call('/complete', { token: this.#ticket.token })
    this.token = answer.token
    this.result = answer.file
  }

  async #whole(t) {
    const body = t.fields ? new FormData() : this.file
    for (const [name, value] of Object.entries(t.fields ?? {})) body.append(name, value)
    if (t.fields) body.append('file', this.file)
    await this.#again(async () => {
      try {
        // With If-None-Match browsers add a Cache-Control of their own, which storage
        // would keep, where there is none, even an empty one.
        await this.#request(t.method, t.url, body, t.fields ? {} : { 'Cache-Control': '', ...t.headers }, 1)
      } catch (error) {
        if (error.status === 403) this.#ticket = null // it has expired: the next try has another
        if (error.status !== 412) throw error // the file is there already: an answer was lost
      }
    })
    this.#have.set(1, this.file.size)
  }

  async #list() {
    const { parts } = await this.#post('/list', { token: this.#ticket.token })
    this.#have = new Map(parts.map((p) => [p.number, p.size]))
    this.#set()
  }

  async #parts(t) {
    // What is in flight may not arrive: a reload is promised no more than it finds.
    const save = () => keep(this.key, { ...t, name: this.file.name, percent: Math.floor((100 * sum(this.#have)) / this.file.size) })
    save()
    const todo = Array.from({ length: t.parts }, (_, i) => i + 1).filter((n) => !this.#have.has(n))
    const urls = new Map()
    let asked
    const url = async (n) => {
      while (!urls.has(n)) {
        asked ??= this.#post('/parts', { token: t.token, numbers: [n, ...todo.filter((m) => m !== n && !urls.has(m))].slice(0, BATCH) })
          .then(({ parts }) => parts.forEach((p) => urls.set(p.number, p.url)))
          .finally(() => { asked = null })
        await asked
      }
      return urls.get(n)
    }
    const send = async (n, attempt) => {
      if (attempt) await this.#list() // perhaps only the answer was lost
      if (this.#have.has(n)) return
      const part = this.file.slice((n - 1) * t.part_size, n * t.part_size)
      try {
        await this.#request('PUT', await url(n), part, {}, n)
        this.#have.set(n, part.size)
      } catch (error) {
        if (error.status === 403 && attempt < 2) { // it has expired, as others will have
          urls.clear()
          error.retry = true
        }
        throw error
      }
    }
    await Promise.all(Array.from({ length: this.parallel }, async () => {
      for (let n; (n = todo.shift());) {
        await this.#again((attempt) => send(n, attempt))
        save()
      }
    }))
  }

  #call(step, body) { return this.#again(() => this.#post(step, body)) }

  async #post(step, body) {
    const headers = { 'Content-Type': 'application/json', Accept: 'application/json', ...this.headers }
    const answer = await this.#request('POST', this.endpoint + step, JSON.stringify(body), headers)
    return answer && JSON.parse(answer)
  }

  // again tries until it works, as long as another try may help.
  async #again(what) {
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await what(attempt)
        if (this.retrying) this.retrying = false
        return answer
      } catch (error) {
        if (this.#stop.signal.aborted || !error.retry || attempt >= this.retries) throw error
        this.retrying = true
        this.#set()
        await this.#rest(Math.max(error.after, Math.min(30_000, this.delay * 2 ** attempt) * (0.5 + Math.random() / 2)))
      }
    }
  }

  // rest waits, not longer than until the browser is online again.
  #rest(time) {
    const { signal } = this.#stop
    return new Promise((resolve, reject) => {
      const end = () => {
        clearTimeout(timer)
        removeEventListener('online', end)
        signal.removeEventListener('abort', end)
        if (signal.aborted) reject(new UploadError(texts.failed))
        else resolve()
      }
      const timer = navigator.onLine === false ? 0 : setTimeout(end, time)
      addEventListener('online', end)
      signal.addEventListener('abort', end)
    })
  }

  // request is one request; flight names what of the file it brings.
  #request(method, url, body, headers, flight) {
    const { signal } = this.#stop
    return new Promise((resolve, reject) => {
      const x = new XMLHttpRequest()
      let timer
      const alive = () => {
        clearTimeout(timer)
        timer = setTimeout(() => x.abort(), this.stall)
      }
      const stop = () => x.abort()
      x.open(method, url)
      for (const [name, value] of Object.entries(headers ?? {})) x.setRequestHeader(name, value)
      if (flight) {
        x.upload.onprogress = (e) => {
          alive()
          if (signal.aborted) return
          this.#flying.set(flight, Math.min(e.loaded, body.size ?? this.file.size))
          this.#set()
        }
      }
      x.onloadend = () => {
        clearTimeout(timer)
        signal.removeEventListener('abort', stop)
        if (flight && this.#stop.signal === signal) this.#flying.delete(flight)
        if (x.status >= 200 && x.status < 300) resolve(x.responseText)
        else reject(fault(x, !flight))
      }
      if (signal.aborted) return reject(new UploadError(texts.failed))
      signal.addEventListener('abort', stop)
      alive()
      x.send(body)
    })
  }
}

// The table of CRC-32C, which is reflected (RFC 3720, 12.1).
const CRC = new Uint32Array(256).map((_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0x82f63b78 : n >>> 1
  return n
})

// checksum is a file's CRC-32C as S3 has it: its bytes, the highest first, in base64.
async function checksum(file) {
  let crc = -1
  for (let at = 0; at < file.size; at += 1 << 20) {
    for (const byte of new Uint8Array(await file.slice(at, at + (1 << 20)).arrayBuffer())) crc = CRC[(crc ^ byte) & 255] ^ (crc >>> 8)
  }
  return btoa(String.fromCharCode(...[24, 16, 8, 0].map((shift) => (~crc >>> shift) & 255)))
}

// fault says why a request failed: the app's own words, where it has some.
function fault(x, app) {
  const { status } = x
  if (!status) return new UploadError(texts.network, 0, true)
  let text = app ? texts.failed : texts.storage
  try {
    const problem = app && JSON.parse(x.responseText)
    text = problem.detail || problem.title || text
  } catch { /* it is no problem+json */ }
  const after = app ? Number(x.getResponseHeader('Retry-After')) || 0 : 0
  return new UploadError(text, status, status === 408 || status >= 500 || (status === 429 && !app), Math.min(after, 60) * 1000)
}

// keep and kept are localStorage, where it may be used.
function keep(key, value) {
  try {
    if (value) localStorage.setItem(key, JSON.stringify(value))
    else localStorage.removeItem(key)
  } catch { /* uploads work, and cannot be resumed */ }
}

function kept(key) {
  try {
    return JSON.parse(localStorage.getItem(key))
  } catch {
    return null
  }
}

function interrupted(endpoint) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(`${PREFIX}${endpoint}:`))
  } catch {
    return []
  }
}

/** Whether an input's accept attribute takes a file. Where the browser has no type, the app decides. */
export function accepts(accept, { name, type }) {
  const rules = accept.toLowerCase().split(',').map((s) => s.trim()).filter(Boolean)
  if (!rules.length) return true
  return rules.some((rule) => {
    if (rule.startsWith('.')) return name.toLowerCase().endsWith(rule)
    if (!type) return true
    return rule.endsWith('/*') ? type.startsWith(rule.slice(0, -1)) : type === rule
  })
}

/** A size for people. */
export function formatSize(bytes) {
  let unit = 0
  for (; bytes >= 1024 && unit < 4; unit++) bytes /= 1024
  return `${bytes.toLocaleString(undefined, { maximumFractionDigits: unit && bytes < 10 ? 1 : 0 })} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][unit]}`
}

function el(tag, props, ...children) {
  const e = Object.assign(document.createElement(tag), props)
  e.append(...children)
  return e
}

const Base = globalThis.HTMLElement ?? Object // so that servers can import it

/** <filefield-upload endpoint="/uploads/photo" max-size="1048576"> around an <input type="file">. */
export class FilefieldUpload extends Base {
  #items = new Map() // of uploads, what shows them
  #parts = null
  #held = null // the form's submitter, while it waits for files

  /** The files, in the order they were chosen. */
  get uploads() { return [...this.#items.keys()] }
  get busy() { return this.uploads.some((u) => u.state === 'sending' || u.state === 'waiting' || u.state === 'paused') }
  /** The tokens of the files that have been uploaded. */
  get tokens() { return this.uploads.filter((u) => u.state === 'done').map((u) => u.token) }

  connectedCallback() {
    const input = this.querySelector('input[type=file]')
    if (!input) return queueMicrotask(() => this.isConnected && this.querySelector('input[type=file]') && !this.#parts && this.connectedCallback())
    if (this.#parts) return
    const { name, required } = input
    input.removeAttribute('name') // tokens go in its place
    const hint = el('span', { className: 'filefield-hint' }, texts.drop)
    const list = el('ul', { className: 'filefield-list' })
    const live = el('p', { className: 'filefield-live', role: 'status', ariaLive: 'polite' })
    this.append(hint, list, live)
    const listening = new AbortController()
    this.#parts = { input, name, required, hint, list, live, listening, form: input.form }
    const on = (target, type, f) => target?.addEventListener(type, f, { signal: listening.signal })
    on(input, 'change', () => {
      this.add(input.files)
      input.value = '' // the same file can be chosen again
    })
    on(this, 'dragover', (e) => this.#drag(e, true))
    on(this, 'dragleave', (e) => this.contains(e.relatedTarget) || this.toggleAttribute('data-drag', false))
    on(this, 'drop', (e) => {
      this.#drag(e, false)
      if (!input.disabled) this.add(e.dataTransfer.files)
    })
    on(input.form, 'submit', (e) => this.#submit(e))
    on(input.form, 'reset', () => this.clear())
    this.#remind()
  }

  disconnectedCallback() {
    queueMicrotask(() => { // it may only be moved
      if (this.isConnected || !this.#parts) return
      const { input, name, required, listening, hint, list, live } = this.#parts
      for (const u of this.uploads) u.pause()
      listening.abort()
      this.#items.clear()
      this.#parts = null
      input.name = name
      input.required = required
      for (const e of [hint, list, live]) e.remove()
    })
  }

  /** Adds files and sends them. Those that were added before are left out. */
  add(files) {
    const { input } = this.#parts
    files = [...files]
    if (!input.multiple && files.length) {
      files.length = 1
      for (const u of this.uploads) this.discard(u)
    }
    for (const file of files) {
      const u = new Upload(file, this.getAttribute('endpoint') ?? '', this.options)
      if (this.uploads.some((v) => v.key === u.key)) continue
      this.#show(u)
      const max = Number(this.getAttribute('max-size'))
      let wrong = ''
      if (!file.size) wrong = texts.empty
      else if (max && file.size > max) wrong = say(texts.large, formatSize(max))
      else if (!accepts(input.accept, file)) wrong = texts.type
      if (wrong) {
        u.error = new UploadError(wrong, 422)
        u.state = 'failed'
      }
      this.#update(u)
    }
    this.#remind()
    this.#next()
  }

  /** Takes a file away; what was sent of it is removed from storage. */
  discard(upload) {
    const item = this.#items.get(upload)
    if (!item) return
    const focused = item.row.contains(document.activeElement)
    this.#items.delete(upload)
    upload.abort()
    if (item.preview) URL.revokeObjectURL(item.preview)
    item.row.remove()
    item.hidden.remove()
    if (focused) this.#parts.input.focus()
    this.#settle()
  }

  /** Takes the files away that have been uploaded, which are the app's by now, or all. */
  clear(state) {
    for (const u of this.uploads) {
      if (state && u.state !== state) continue
      if (u.state === 'done') u.state = 'aborted' // storage keeps it: it may have been claimed
      this.discard(u)
    }
  }

  #drag(e, over) {
    if (!e.dataTransfer?.types.includes('Files')) return
    e.preventDefault()
    this.toggleAttribute('data-drag', over)
  }

  #show(u) {
    const { name, list } = this.#parts
    const image = /^image\/(?!svg)/.test(u.file.type)
    const preview = image && u.file.size ? URL.createObjectURL(u.file) : ''
    const picture = preview ? el('img', { src: preview, alt: '', onerror: () => picture.remove() }) : ''
    const button = (className, text, onclick) => el('button', { type: 'button', className, textContent: text, ariaLabel: say(texts.label, text, u.file.name), onclick })
    const item = {
      preview, said: '',
      hidden: el('input', { type: 'hidden', name, disabled: true }),
      bar: el('progress', { max: 100, value: 0, ariaLabel: u.file.name }),
      status: el('span', { className: 'filefield-status' }),
      pause: button('filefield-pause', texts.pause, () => {
        if (u.state === 'sending' || u.state === 'waiting') u.pause()
        else u.start()
        this.#next()
      }),
    }
    item.row = el('li', {}, el('span', { className: 'filefield-preview' }, picture),
      el('span', { className: 'filefield-name' }, u.file.name), item.bar, item.status,
      el('span', { className: 'filefield-buttons' }, item.pause, button('filefield-remove', texts.remove, () => this.discard(u))), item.hidden)
    this.#items.set(u, item)
    list.append(item.row)
    u.addEventListener('change', () => this.#update(u))
  }

  #update(u) {
    const item = this.#items.get(u)
    if (!item) return
    const percent = Math.floor((100 * u.sent) / (u.file.size || 1))
    const { row, bar, status, pause, hidden } = item
    const again = u.state === 'failed'
    row.dataset.state = u.state
    bar.value = percent
    bar.hidden = again || u.state === 'done'
    let text = texts[u.state] ?? ''
    if (u.state === 'sending') text = u.retrying ? texts.retrying : percent === 100 ? texts.checking : `${percent} % · ${formatSize(u.file.size)}`
    if (u.state === 'paused') text = `${texts.paused} · ${percent} %`
    if (u.state === 'done') text = `${texts.done} · ${formatSize(u.file.size)}`
    status.textContent = again ? u.error.message : text
    const act = u.state === 'paused' ? texts.resume : again ? texts.retry : texts.pause
    if (pause.textContent !== act) {
      pause.textContent = act
      pause.ariaLabel = say(texts.label, act, u.file.name)
    }
    pause.hidden = u.state === 'done' || (again && u.error.status >= 400 && u.error.status < 500 && u.error.status !== 429 && u.error.status !== 403)
    hidden.disabled = u.state !== 'done'
    hidden.value = u.token
    if (item.said !== u.state) { // not every percent
      item.said = u.state
      this.#parts.live.textContent = say(texts.label, u.file.name, again ? u.error.message : texts[u.state])
      if (u.state === 'done' || again) {
        this.dispatchEvent(new CustomEvent(again ? 'filefield-error' : 'filefield-uploaded', { bubbles: true, detail: { upload: u } }))
      }
      this.#settle()
    }
  }

  // settle is for when a file has come, gone or changed its state.
  #settle() {
    const { input, required, form } = this.#parts
    const left = this.uploads.filter((u) => u.state !== 'failed')
    input.required = required && !left.length
    this.#next()
    if (this.#held && !this.busy) {
      const { submitter } = this.#held
      this.#held = null
      if (left.length === this.#items.size) form.requestSubmit(submitter)
    }
  }

  #next() {
    let free = FILES - this.uploads.filter((u) => u.state === 'sending').length
    for (const u of this.uploads) if (free > 0 && u.state === 'waiting') free--, u.start()
  }

  // submit has the form wait for files that are on their way.
  #submit(e) {
    if (e.defaultPrevented || !this.busy) return
    e.preventDefault()
    this.#held = { submitter: e.submitter }
    this.#parts.live.textContent = texts.hold
    for (const u of this.uploads) if (u.state === 'paused') u.start()
  }

  // remind names the uploads that a reload has interrupted.
  #remind() {
    const { hint } = this.#parts
    const endpoint = (this.getAttribute('endpoint') ?? '').replace(/\/$/, '')
    hint.parentNode.querySelectorAll('.filefield-interrupted').forEach((e) => e.remove())
    for (const key of interrupted(endpoint)) {
      const t = kept(key)
      if (!t || Date.parse(t.expires) < Date.now() + MARGIN) {
        keep(key)
        continue
      }
      if (this.uploads.some((u) => u.key === key)) continue
      const note = el('p', { className: 'filefield-interrupted' }, say(texts.unfinished, t.name, t.percent), ' ', el('button', {
        type: 'button', textContent: texts.discard, ariaLabel: say(texts.label, texts.discard, t.name),
        onclick: () => {
          keep(key)
          note.remove()
          fetch(`${endpoint}/abort`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...this.options?.headers }, body: JSON.stringify({ token: t.token }) }).catch(() => {})
          this.#parts.input.focus()
        },
      }))
      hint.after(note)
    }
  }
}

globalThis.customElements?.get('filefield-upload') ?? globalThis.customElements?.define('filefield-upload', FilefieldUpload)
