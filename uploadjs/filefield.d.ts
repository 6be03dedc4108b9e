/** What the elements say. Assign other texts before the first one is there. */
export declare const texts: Record<
  | 'drop' | 'sending' | 'waiting' | 'paused' | 'done' | 'checking' | 'retrying' | 'pause' | 'resume' | 'retry' | 'remove'
  | 'discard' | 'empty' | 'large' | 'type' | 'network' | 'storage' | 'failed' | 'unfinished' | 'hold' | 'label',
  string
>

/** Why an upload failed, in words for its user. */
export declare class UploadError extends Error {
  constructor(message: string, status?: number, retry?: boolean, after?: number)
  /** The answer's status; 0 where there was none. */
  readonly status: number
  /** Whether another try may help. */
  readonly retry: boolean
  /** Milliseconds to wait before it. */
  readonly after: number
}

export interface UploadOptions {
  /** Tries after the first for each request. Default 6. */
  retries?: number
  /** Parts that are sent at a time. Default 3. */
  parallel?: number
  /** The first wait before another try, in milliseconds; it doubles, with jitter, up to 30 seconds. Default 500. */
  delay?: number
  /** Milliseconds without progress after which a request is given up. Default 60,000. */
  stall?: number
  /** Headers for requests to the app, as for a CSRF token. */
  headers?: Record<string, string>
  /** Texts for UploadTo. */
  form?: Record<string, string>
}

export type UploadState = 'waiting' | 'sending' | 'paused' | 'done' | 'failed' | 'aborted'

/** What the app says of a file once it has looked at it. */
export interface UploadedFile {
  name: string
  type: string
  size: number
  width?: number
  height?: number
}

/** One file on its way. It dispatches "change" whenever something about it changes. */
export declare class Upload extends EventTarget {
  constructor(file: File, endpoint: string, options?: UploadOptions)
  readonly file: File
  readonly endpoint: string
  readonly state: UploadState
  /** Whether it waits to try again. */
  readonly retrying: boolean
  /** What the file is in a form or in JSON, once state is "done". */
  readonly token: string
  readonly error: UploadError | null
  readonly result: UploadedFile | null
  /** Bytes that have been sent. */
  readonly sent: number
  /** Where the state of a file sent in parts is kept in localStorage. */
  readonly key: string
  /** Begins, goes on after pause, or tries again. It resolves at the end, also of a failure. */
  start(): Promise<void>
  /** Stops for now. Parts that have arrived stay. */
  pause(): void
  /** Stops for good: what has been sent is removed. */
  abort(): Promise<void>
}

/** <filefield-upload endpoint="/uploads/photo" max-size="1048576"> around an <input type="file">. */
export declare class FilefieldUpload extends HTMLElement {
  /** For the uploads that are added after it is set. */
  options?: UploadOptions
  /** The files, in the order they were chosen. */
  readonly uploads: Upload[]
  /** Whether files wait or are on their way. */
  readonly busy: boolean
  /** The tokens of the files that have been uploaded. */
  readonly tokens: string[]
  /** Adds files and sends them. Those that were added before are left out. */
  add(files: Iterable<File>): void
  /** Takes a file away; what was sent of it is removed from storage. */
  discard(upload: Upload): void
  /** Takes the files of a state away, or all. What has been uploaded stays in storage. */
  clear(state?: UploadState): void
}

/** Whether an input's accept attribute takes a file. Where the browser has no type, the app decides. */
export declare function accepts(accept: string, file: { name: string; type: string }): boolean

/** A size for people. */
export declare function formatSize(bytes: number): string

declare global {
  interface HTMLElementTagNameMap { 'filefield-upload': FilefieldUpload }
  interface HTMLElementEventMap {
    'filefield-uploaded': CustomEvent<{ upload: Upload }>
    'filefield-error': CustomEvent<{ upload: Upload }>
  }
}
