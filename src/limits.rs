//! Every bound of the program, each with the reason for its number.

use std::time::Duration;

/// One response body after decompression. What does not fit into memory goes to a temporary file; a larger export is
/// cut into slices, or allowed by the job.
pub(crate) const PAGE_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;
/// An OAuth2 answer; real ones stay under 20 KiB even with large JWTs.
pub(crate) const TOKEN_BYTES_MAX: u64 = 1024 * 1024;
/// An answer of a Kerberos key distribution centre; tickets with many groups reach some 64 KiB.
pub(crate) const KDC_BYTES_MAX: u32 = 1024 * 1024;
/// An OData `$metadata` document; Business Central's is about 5 MB.
pub(crate) const METADATA_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// What of a server's text goes into an error: enough to see "login page" or "quota exceeded".
pub(crate) const EXCERPT_CHARS_MAX: usize = 300;
/// A URL longer than this is refused before it is sent; common servers stop at 8 to 16 KiB.
pub(crate) const URL_BYTES_MAX: usize = 32 * 1024;

/// Header fields of one answer; hyper's own default, and it bounds the whole head of HTTP/1.1 to some 400 KB besides.
pub(crate) const HEADERS_MAX: usize = 100;
/// The head of an HTTP/2 answer: room for a `Link` and a `Location` of URL_BYTES_MAX each.
pub(crate) const HEADER_LIST_BYTES_MAX: u32 = 64 * 1024;
/// Codings of one body; two are seen where a proxy compresses what is compressed, more is a trick.
pub(crate) const CODINGS_MAX: usize = 2;
/// Decompressed bytes for each received one: deflate reaches 1,032 on zeros only, real records stay below 200.
pub(crate) const INFLATION_MAX: u64 = 1_000;
/// Up to here a body may grow as it likes: it harms nobody.
pub(crate) const INFLATION_FREE_BYTES: u64 = 1024 * 1024;
/// A file of certificates; a whole system's bundle has 250 KB.
pub(crate) const CA_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// To open a connection, TLS included.
pub(crate) const CONNECT_WAIT_MAX: Duration = Duration::from_secs(20);
/// Between two reads of one response; slow reports take minutes before their first byte.
pub(crate) const STALL_WAIT_MAX: Duration = Duration::from_secs(300);
/// From a request to the last byte of its answer: a full page at 18 KB a second. More trickles than arrives.
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(3600);
/// Longest time-out that a job may set; no connection is kept for a day.
pub(crate) const NETWORK_WAIT_CEILING: Duration = Duration::from_secs(86_400);
/// A token endpoint that takes longer is treated as an unknown outcome.
pub(crate) const TOKEN_WAIT_MAX: Duration = Duration::from_secs(60);

/// Tries of one page: with full jitter these cover about five minutes of an API's bad moment.
pub(crate) const ATTEMPTS_MAX: usize = 8;
/// Tries to reach a server that never answered in this run: a wrong host name or a dead server should show soon.
pub(crate) const ATTEMPTS_FIRST_CONTACT_MAX: usize = 3;
/// Times a page that came with a good status but cannot be read is asked for again.
pub(crate) const PAGE_REREADS_MAX: usize = 2;
/// First wait between tries; doubled each time.
pub(crate) const RETRY_WAIT_MIN: Duration = Duration::from_millis(500);
/// Longest wait that we choose ourselves.
pub(crate) const RETRY_WAIT_MAX: Duration = Duration::from_secs(60);
/// Longest wait inside a run, unless the job says otherwise; a longer one ends the run as a temporary failure.
pub(crate) const PAUSE_MAX_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// The same for a job that declares the quota of a day: any day ends within it, also the one when the clocks go back.
pub(crate) const PAUSE_MAX_DAY: Duration = Duration::from_secs(25 * 60 * 60);
/// A wait from here on is told, and the credential is asked for anew after it; a shorter one is the usual spacing.
pub(crate) const PAUSE_TOLD_MIN: Duration = Duration::from_secs(30);
/// A wait by the wall clock looks at it at least this often: a machine that slept goes on at once, and so does a person
/// who corrects the clock.
pub(crate) const PAUSE_SLICE_MAX: Duration = Duration::from_secs(1);
/// And not more often than this.
pub(crate) const PAUSE_SLICE_MIN: Duration = Duration::from_millis(2);
/// No API counts longer than a month: a later reset is a number in a unit that we took for another one.
pub(crate) const QUOTA_RESET_MAX: Duration = Duration::from_secs(32 * 86_400);
/// A server's wait that other runs are told of; one wrong answer must not stop all of them for longer.
pub(crate) const QUOTA_HOLD_MAX: Duration = Duration::from_secs(26 * 60 * 60);
/// A window of a minute is this much longer for us: a request arrives later than it is counted.
pub(crate) const QUOTA_MINUTE_MARGIN: Duration = Duration::from_secs(2);
/// The same for a day. The hosts that share the budget, and the server, may read clocks that differ by minutes.
pub(crate) const QUOTA_DAY_MARGIN: Duration = Duration::from_secs(5 * 60);
/// Tries to count one request while others count theirs; each lost one means that another's succeeded.
pub(crate) const QUOTA_TRIES_MAX: u32 = 200;
/// Times a request is counted anew because the record store took too long: it then says so instead of using up the quota.
pub(crate) const QUOTA_RECOUNTS_MAX: u32 = 5;
/// Between two such tries, times their number up to ten, times a random part of one.
pub(crate) const QUOTA_RETRY_WAIT: Duration = Duration::from_millis(10);
/// Times one announced refresh is sent again with the same token after an unknown outcome.
pub(crate) const REFRESH_REPLAYS_MAX: u32 = 3;
/// Redirects within the same origin.
pub(crate) const REDIRECTS_MAX: usize = 5;

/// Pages of one walk; at 60 records a page this is 60 million records.
pub(crate) const PAGES_MAX: u64 = 1_000_000;
/// Empty pages in a row that a server with filters may send before its next full one.
pub(crate) const EMPTY_PAGES_MAX: u64 = 100;
/// Large pages that wait between the reader and the decoder of a slice.
pub(crate) const PAGES_QUEUED_MAX: usize = 2;
/// Up to here a page's records are taken out of its answer while they wait where they are less than half of it; 60 records
/// of half a kilobyte are 32 KiB.
pub(crate) const PAGE_SMALL_BYTES: usize = 128 * 1024;
/// And below this always: a connection reads into a buffer of some size, however little comes.
pub(crate) const PAGE_COPIED_BYTES_MAX: usize = 16 * 1024;
/// Records of small pages that wait: two pages of a thousand records are as much.
pub(crate) const QUEUE_SMALL_BYTES_MAX: usize = 1024 * 1024;
/// The decoder is woken for so many of them: waking a thread costs more than decoding 32 KiB.
pub(crate) const QUEUE_WAKE_BYTES: usize = 256 * 1024;
/// And at the first page that comes so long after one that waits: where an API is slow, decoding lags one page behind.
pub(crate) const QUEUE_WAKE_AGE: Duration = Duration::from_millis(20);
/// Pages of an unfinished run that are given to the system at once: a call costs as much as copying 64 KiB.
pub(crate) const PAGE_LOG_BUFFER_BYTES: usize = 256 * 1024;
/// And at the first page that comes so long after the last time: where an API is slow, a killed run loses one page.
pub(crate) const PAGE_LOG_AGE: Duration = Duration::from_millis(100);
/// Pages of one stream that are kept whatever their speed; what comes behind them is compressed.
pub(crate) const PAGE_LOG_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// And so many more for every second: what comes faster is sooner read once more than kept. No API on a network of a
/// gigabit comes near it.
pub(crate) const PAGE_LOG_BYTES_PER_SEC: u64 = 50 * 1024 * 1024;
/// Between two copies of kept pages into a record store that hosts share: what another host asks for again.
pub(crate) const PAGE_COPY_AGE: Duration = Duration::from_secs(5);
/// Pages that are copied at once, before compression; sealed and compressed they stay far below `RECORD_BYTES_MAX`.
pub(crate) const PAGE_COPY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Copies of one stream's pages; their list is a record of its own. More than 30 GB of JSON.
pub(crate) const PAGE_COPIES_MAX: usize = 16_384;
/// The file of one stream's kept pages: some 20 GB of JSON. A state folder must not fill its disk.
pub(crate) const PAGE_LOG_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// How old the beginning of an unfinished run may be unless the job says otherwise: a daily job begins anew.
pub(crate) const RESUME_AGE_DEFAULT: Duration = Duration::from_secs(12 * 3600);
/// Batches that wait between the decoding and the encoding thread of a stream; each has some megabytes.
pub(crate) const BATCHES_QUEUED_MAX: usize = 1;
/// Requests of one source in flight at once, unless the job says otherwise.
pub(crate) const REQUESTS_IN_FLIGHT_DEFAULT: u32 = 4;

/// Nesting of one JSON document; jiter's own recursion limit is 200.
pub(crate) const JSON_DEPTH_MAX: usize = 100;
/// Columns of one table; Power BI's own limit is 16,000 in a model.
pub(crate) const COLUMNS_MAX: usize = 2_000;
/// Characters of a column name; long paths are refused rather than cut.
pub(crate) const COLUMN_NAME_CHARS_MAX: usize = 128;
/// Levels of objects that flatten into `a_b_c`; deeper ones become JSON text.
pub(crate) const FLATTEN_DEPTH_MAX: usize = 8;
/// Lists in lists in lists that become tables.
pub(crate) const CHILD_TABLES_DEPTH_MAX: usize = 3;
/// UTF-16 units of one text value: a model of Power BI keeps 32,766 and cuts the rest in silence.
pub(crate) const POWERBI_TEXT_CHARS_MAX: usize = 32_000;

/// Records looked at before a column's inferred type is first written.
pub(crate) const SAMPLE_ROWS: usize = 20_000;
/// Bytes of JSON after which the sample ends, whatever its rows.
pub(crate) const SAMPLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Rows of one record batch: large enough for columnar work, small enough for the processor's cache.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Rows of one Parquet row group. What waits for its end is most of a run's memory: with 131,072 rows the peak of ten million
/// rows of 15 fields was 104 MB, with a million of them 220.
pub(crate) const ROW_GROUP_ROWS: usize = 65_536;
/// Encoded bytes of one row group.
pub(crate) const ROW_GROUP_BYTES: usize = 32 * 1024 * 1024;
/// Size of one part; Power Query must buffer a whole part (`Binary.Buffer`).
pub(crate) const PART_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The same for engines that read a file in pieces: large enough for few requests, small enough to be made anew.
pub(crate) const PART_BYTES_DEFAULT_ANALYTICS: u64 = 256 * 1024 * 1024;
/// Bytes at the end of a remote part that are fetched for its footer: that of some tens of columns and row groups
/// fits; of a larger one the rest follows.
pub(crate) const FOOTER_BYTES: u64 = 64 * 1024;
/// Keys of a first read that are compared with each other at once, some 130 bytes each; with more of them the keys of the
/// read are gone through several times.
pub(crate) const MERGE_KEYS_MAX: u64 = 1024 * 1024;
/// Keys of a sweep in memory at once, 16 bytes each; with more of them the keys of the table are read several times.
pub(crate) const SWEEP_KEYS_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of one block of an upload.
pub(crate) const UPLOAD_BLOCK_BYTES: usize = 8 * 1024 * 1024;

/// Former snapshots that stay, unless the job says otherwise: enough to look back over some bad runs.
pub(crate) const KEEP_SNAPSHOTS_DEFAULT: usize = 5;
/// How long a snapshot stays after it was replaced, unless the job says otherwise: a refresh of Power BI ends after five
/// hours at most, and a weekend's copy of the files after two days.
pub(crate) const KEEP_TIME_DEFAULT: Duration = Duration::from_secs(48 * 3600);
/// Manifests and files that one sweep removes: a backlog goes over several runs, none of which takes minutes for it.
pub(crate) const SWEEP_REMOVALS_MAX: usize = 1_000;
/// Unnamed files that the record store remembers for the next sweep; with these its record stays below RECORD_BYTES_MAX.
pub(crate) const SWEEP_NOTES_MAX: usize = 10_000;
/// Manifests and parts of a destination that are asked for at once.
pub(crate) const STORE_REQUESTS_IN_FLIGHT: usize = 8;
/// Tries of a swap whose outcome was unknown and whose pointer turned out unchanged. The store's client repeats requests
/// below that, too.
pub(crate) const SWAP_TRIES_MAX: usize = 5;
/// Tries to prove that a destination keeps the conditions of a write: enough for one lost answer and one throttled one.
pub(crate) const PROBE_TRIES_MAX: usize = 3;
/// Between two such tries.
pub(crate) const STORE_RETRY_WAIT: Duration = Duration::from_millis(500);

/// A folder is made so often before a file can be made in it: others may take an empty one away.
pub(crate) const FOLDER_TRIES_MAX: usize = 100;
/// How often the slots of a job are looked at when nothing happens: a clock that was set is noticed, and what others served.
pub(crate) const SCHEDULE_LOOK_EVERY: Duration = Duration::from_secs(30);
/// Until slots are looked at again after a failure to do so.
pub(crate) const SCHEDULE_RETRY_WAIT: Duration = Duration::from_secs(10);
/// Days of a job's history that are kept.
pub(crate) const HISTORY_DAYS: u64 = 90;
/// Entries of one hour, some 500 bytes each; a job that runs every second makes 3,600, and its oldest are of no use to anybody.
pub(crate) const HISTORY_ENTRIES_AN_HOUR: usize = 1_000;
/// Newest slots and runs of a job that the daemon holds in memory, for the overview of all jobs.
pub(crate) const BOARD_ENTRIES: usize = 30;
/// Newest slots and runs on the page of one job.
pub(crate) const PAGE_ENTRIES: usize = 100;
/// How far the daemon looks back at its start for the last run that succeeded.
pub(crate) const SUCCESS_ENTRIES: usize = 2_000;
/// How far it is looked back for what became of a slot that a process left.
pub(crate) const LEFT_SLOT_ENTRIES: usize = 100;
/// After this time the daemon reads the history anew, even where no slot was served: somebody may have run the job by hand.
pub(crate) const BOARD_REFRESH: Duration = Duration::from_secs(120);
/// Orders of people to one job that wait to be looked at.
pub(crate) const ORDERS_MAX: usize = 8;
/// Runs of a job whose whole report and log are kept, some KiB each.
pub(crate) const RUN_DOCUMENTS_MAX: usize = 200;
/// Lines of a run's log that are kept, the first and the last ones; what lies between is counted.
pub(crate) const LOG_LINES_MAX: usize = 400;
/// A thread for blocking work ends after so long without any: one is made in some 50 µs.
pub(crate) const BLOCKING_THREAD_IDLE_MAX: Duration = Duration::from_millis(200);
/// From the first signal to the end: what orchestrators grant before they kill is 30 s at Kubernetes and Azure Container Apps.
pub(crate) const GRACE_DEFAULT: Duration = Duration::from_secs(25);
/// The entries of one hour as text, half of RECORD_BYTES_MAX: errors and notices that were not taken make them long.
pub(crate) const HISTORY_BYTES_AN_HOUR: usize = 2 * 1024 * 1024;
/// Receivers of a job's notices; they are told side by side.
pub(crate) const RECEIVERS_MAX: usize = 32;
/// All tries to tell one receiver: a run whose receiver is gone ends so much later.
pub(crate) const NOTICE_WAIT_MAX: Duration = Duration::from_secs(30);
/// One try of them; whoever takes notices answers within a second.
pub(crate) const NOTICE_TRY_MAX: Duration = Duration::from_secs(10);
/// A person who started the run is told what it waits for after so long.
pub(crate) const NOTICE_QUIET_MAX: Duration = Duration::from_secs(3);
/// What a run that is to stop waits for its notices: less than a container's grace.
pub(crate) const NOTICE_STOPPED_WAIT_MAX: Duration = Duration::from_secs(5);
/// Of what a receiver answers; Slack says a word, a proxy a page.
pub(crate) const NOTICE_ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// Characters of one text in a notice: Slack takes 3,000 in a section.
pub(crate) const NOTICE_TEXT_CHARS_MAX: usize = 1_500;
/// Tables that a message for people names; Teams takes 28 KB in all.
pub(crate) const NOTICE_TABLES_MAX: usize = 20;
/// Tables in an event as JSON.
pub(crate) const NOTICE_TABLES_JSON_MAX: usize = 500;
/// Between two looks whether a command is over.
pub(crate) const NOTICE_LOOK_EVERY: Duration = Duration::from_millis(20);
/// What goes on is told again after so long, unless the job says otherwise: a reminder a day.
pub(crate) const NOTICE_REPEAT_DEFAULT: Duration = Duration::from_secs(86_400);
/// Good runs without a row before somebody is told, unless the job says otherwise.
pub(crate) const NOTICE_EMPTY_DEFAULT: u64 = 3;
/// How long before its end a credential is told of, unless the job says otherwise: a week has a working day.
pub(crate) const NOTICE_EXPIRES_DEFAULT: Duration = Duration::from_secs(7 * 86_400);
/// Tries to change a record that others change at the same time.
pub(crate) const RECORD_SWAPS_MAX: u32 = 20;
/// Slots that nobody serves any more and that are counted one by one: a week of minutes. A clock that was wrong by decades left more.
pub(crate) const MISSED_COUNTED_MAX: usize = 10_080;
/// How far the slots of a job may be served ahead of the clock without anybody being told: no zone's day is longer.
pub(crate) const SLOTS_AHEAD_MAX: Duration = Duration::from_secs(26 * 3600);
/// How often a slot in the queue looks whether another process's run of the job is over.
pub(crate) const QUEUE_LOOK_EVERY: Duration = Duration::from_secs(2);
/// Slots of a schedule that may be made up for after a time in which nothing ran.
pub(crate) const CATCHUP_SLOTS_MAX: usize = 100;
/// A run's lease without renewal; a holder on the same host that died is noticed at once.
pub(crate) const RUN_LEASE: Duration = Duration::from_secs(120);
/// How long to look away from a lease of another host that may be dead: a living holder renews it meanwhile, every third of
/// `RUN_LEASE`.
pub(crate) const LEASE_WATCH_STEP: Duration = Duration::from_secs(45);
/// Attempts to take a lease that others change meanwhile; each of them saw it free.
pub(crate) const LEASE_TRIES_MAX: usize = 10;
/// A refresh holds its credential for so many times the wait for one token request: the first, its replays, and room.
pub(crate) const REFRESH_LEASE_WAITS: u32 = REFRESH_REPLAYS_MAX + 2;
/// How long SQLite waits for another process's transaction.
pub(crate) const STATE_WAIT_MAX: Duration = Duration::from_secs(30);
/// To reach a remote record store, TLS and login included: a wrong address should show within seconds.
pub(crate) const STATE_CONNECT_MAX: Duration = Duration::from_secs(10);
/// What a PostgreSQL server may spend on one statement; a row lock is held for milliseconds.
pub(crate) const STATE_STATEMENT_MAX: Duration = Duration::from_secs(10);
/// Until a remote record store has answered: more than its statement, far less than a lease.
pub(crate) const STATE_ANSWER_MAX: Duration = Duration::from_secs(15);
/// Tries of one read or write of a record: enough for one lost connection and one throttled answer.
pub(crate) const STATE_TRIES_MAX: usize = 3;
/// Between them.
pub(crate) const STATE_RETRY_WAIT: Duration = Duration::from_millis(500);
/// One record; a credential with 20 outcomes and its tokens stays under 100 KiB.
pub(crate) const RECORD_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Records read at once while listing an object store.
pub(crate) const RECORDS_IN_FLIGHT: usize = 8;
/// How long `login` waits for the browser.
pub(crate) const LOGIN_WAIT_MAX: Duration = Duration::from_secs(600);
/// How long a device's login may take, whatever the server grants; people go to another device and come back.
pub(crate) const DEVICE_WAIT_MAX: Duration = Duration::from_secs(30 * 60);
/// A job file; a larger one is a mistake.
pub(crate) const JOB_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// A secret's file; keys and certificates stay below a few KiB.
pub(crate) const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;
/// Compressed bytes of a raw copy in one file, before the next page begins another: what waits on the disk stays small.
pub(crate) const RAW_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// A line of a raw copy that holds no records; a slice may name a batch of its parent's records.
pub(crate) const RAW_LINE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Slices of one stream: each costs some hundred bytes while the stream is read.
pub(crate) const SLICES_MAX: usize = 1_000_000;
/// Slices of one stream that are read side by side; the requests of all of them share the source's limits.
pub(crate) const SLICES_IN_FLIGHT_MAX: usize = 32;
/// Small files of an incremental table, before a run that reads something makes one of them: Power Query opens each.
pub(crate) const SMALL_PARTS_MAX: usize = 32;
/// A file is small below this share of the largest; what is larger is not written once more for its size.
pub(crate) const SMALL_PART_SHARE: u64 = 8;
/// Keys whose hashes are held at once while repeated ones are looked for: 8 MiB.
pub(crate) const KEY_HASHES_IN_MEMORY: usize = 512 * 1024;
/// Slices that a report and a manifest name when they were left out.
pub(crate) const SLICES_NAMED_MAX: usize = 100;
/// Between two looks at a report that takes long; the job's own interval may be longer.
pub(crate) const REPORT_POLL_MAX: Duration = Duration::from_secs(60);
/// Between the first looks, unless the job says otherwise.
pub(crate) const REPORT_POLL_DEFAULT: Duration = Duration::from_secs(5);
/// How long a report may take, unless the job says otherwise; large exports take an hour.
pub(crate) const REPORT_WAIT_DEFAULT: Duration = Duration::from_secs(2 * 3600);
/// Of a body or document before it goes to a temporary file; pages are smaller, exports are not.
pub(crate) const BODY_MEMORY_BYTES: usize = 16 * 1024 * 1024;
/// What stands around the lists of a document that is larger than memory.
pub(crate) const ENVELOPE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// One record of such a document; Parquet keeps a row in memory, too.
pub(crate) const JSON_RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Records handed on at once from such a document.
pub(crate) const PIECE_BYTES: usize = 2 * 1024 * 1024;
/// Records of one walk, before they are columns; no report holds more.
pub(crate) const WALK_BYTES_MAX: u64 = 1 << 42;
/// One walk with all its waits; an extraction may take days, and none takes a month.
pub(crate) const WALK_TIME_MAX: Duration = Duration::from_secs(30 * 86_400);
/// A form of the web page; the longest is a pasted address.
pub(crate) const WEB_FORM_BYTES_MAX: usize = 64 * 1024;
/// What the web page waits for browsers that keep their connections when the daemon ends.
pub(crate) const WEB_SHUTDOWN_MAX: Duration = Duration::from_secs(1);
/// Between two words of a change to an open page.
pub(crate) const LIVE_INTERVAL: Duration = Duration::from_millis(500);
/// People who are logged in to the page at once; the oldest must log in again.
pub(crate) const SESSIONS_MAX: usize = 1_000;
/// After this time somebody must log in to the page again: a working day.
pub(crate) const SESSION_MAX: Duration = Duration::from_secs(12 * 3600);
/// Answer to a wrong token; who guesses has time.
pub(crate) const LOGIN_FAILURE_WAIT: Duration = Duration::from_millis(500);
/// Logins to the page at the provider that are under way.
pub(crate) const SIGN_INS_MAX: usize = 1_000;
/// Logins of credentials that are under way or just over.
pub(crate) const LOGINS_MAX: usize = 100;
/// How far the clock of a provider may be from ours.
pub(crate) const CLOCK_SKEW_SECS: i64 = 120;
/// Previews of tables at once: each may fetch a file of 64 MiB.
pub(crate) const PREVIEWS_AT_ONCE: usize = 2;
/// Rows of a preview on the page.
pub(crate) const PREVIEW_ROWS: usize = 50;
/// Characters of a cell of a preview.
pub(crate) const PREVIEW_CELL_CHARS: usize = 120;
/// Newest runs that are searched for changes of a table's columns.
pub(crate) const SCHEMA_CHANGE_RUNS: usize = 500;
/// Tries of one request while somebody waits to hear how an unknown API is read.
pub(crate) const GUESS_TRIES_MAX: usize = 3;
/// Requests to find out how one stream is paged; the likeliest guesses come first, and an API has its own limits.
pub(crate) const GUESS_REQUESTS_MAX: u64 = 60;
/// Entity sets or connections of a service that are tried one by one; all are written down.
pub(crate) const GUESS_SETS_TRIED_MAX: usize = 25;
/// Records in which a key is looked for.
pub(crate) const GUESS_RECORDS_MAX: u64 = 2_000;
/// Questions that are asked again because the answer does not fit.
pub(crate) const QUESTION_TRIES_MAX: usize = 5;
/// Reads and writes of a container's stored access policies for one change; others change them seldom.
pub(crate) const SHARE_TRIES_MAX: usize = 12;
/// One look at a container's stored access policies, or one change with all its tries.
pub(crate) const SHARE_WAIT_MAX: Duration = Duration::from_secs(60);
/// Names of a policy of which one is wanted whose signature can be pasted; one in four has such a one.
pub(crate) const SHARE_ID_TRIES_MAX: usize = 400;
/// The list of a container's stored access policies: five small records.
pub(crate) const POLICIES_BYTES_MAX: usize = 64 * 1024;
/// Between two looks of the web page and the metrics at the shares of a container.
pub(crate) const SHARES_KEPT: Duration = Duration::from_secs(300);
/// What a page or a reader of the metrics waits for a container's shares; those who read metrics give up after some seconds.
pub(crate) const SHARES_PAGE_WAIT_MAX: Duration = Duration::from_secs(5);
/// Semantic models and dataflows that one job refreshes: they wait for each other.
pub(crate) const REFRESH_TARGETS_MAX: usize = 10;
/// Parameters of one semantic model that are set at once, as Power BI takes them.
pub(crate) const REFRESH_PARAMETERS_MAX: usize = 100;
/// How long a run waits for the end of one refresh, unless the job says otherwise: most models of files are loaded in minutes.
pub(crate) const REFRESH_WAIT_DEFAULT: Duration = Duration::from_secs(30 * 60);
/// A refresh of Power BI on a capacity ends after five hours, unless somebody asked for more; others after two.
pub(crate) const REFRESH_WAIT_MAX: Duration = Duration::from_secs(5 * 3600);
/// Until a refresh is taken, where nobody waits for its end: a few tries and a short wait that the service asks for.
pub(crate) const REFRESH_START_WAIT_MAX: Duration = Duration::from_secs(120);
/// Times that one refresh is asked for while others are in its way; each of them ends first.
pub(crate) const REFRESH_STARTS_MAX: usize = 20;
/// Before the first look at a refresh; doubled each time.
pub(crate) const REFRESH_LOOK_MIN: Duration = Duration::from_secs(1);
/// Between two looks at a refresh: 60 looks in half an hour, far below the limits of the service.
pub(crate) const REFRESH_LOOK_MAX: Duration = Duration::from_secs(30);
/// Tries of one request to Power BI; other refreshes wait behind it.
pub(crate) const REFRESH_TRIES_MAX: usize = 5;
/// Runs that ask once more for a refresh of the same snapshot that failed, the first one counted: shared capacities allow eight refreshes a day.
pub(crate) const REFRESH_RUNS_MAX: u32 = 3;
/// Of one answer of Power BI: 60 entries of a history with their errors.
pub(crate) const REFRESH_ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Newest refreshes of a semantic model that are looked through for ours: people may begin some meanwhile.
pub(crate) const REFRESH_HISTORY_MAX: usize = 10;
/// Characters of an error of Power BI in a report; some hold a whole query.
pub(crate) const REFRESH_ERROR_CHARS_MAX: usize = 600;
/// A share that ends within this time and cannot be extended is a warning of every run: a fortnight has ten working days.
pub(crate) const SHARE_SOON_DAYS: i64 = 14;
/// Links of one job that the daemon answers, and signatures of one job that are remembered; each reader needs one.
pub(crate) const SHARE_LINKS_MAX: usize = 50;
/// Files that are sent to readers by signed links at once; each holds one piece in memory.
pub(crate) const DATA_READS_MAX: usize = 64;
/// Tries to read a file that is replaced meanwhile: aliases and the pointer are, once a run.
pub(crate) const DATA_TRIES_MAX: usize = 3;
/// Tries of one request of a check; a check that somebody waits for tells what is wrong instead of waiting.
pub(crate) const CHECK_TRIES_MAX: usize = 3;
/// Bytes of one such request: few requests for a part of 64 MiB, and little memory with several at once.
pub(crate) const CHECK_PIECE_BYTES: u64 = 4 * 1024 * 1024;
/// One such request, whole: 35 KB a second.
pub(crate) const CHECK_PIECE_WAIT_MAX: Duration = Duration::from_secs(120);
/// Parts that are checked at once: each waits for the service most of the time.
pub(crate) const CHECK_PARTS_AT_ONCE: usize = 4;
/// A pointer, a manifest or a list of columns: one of 100,000 parts has some 40 MiB.
pub(crate) const CHECK_DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The footer of a Parquet file: one of 2,000 columns and 100 row groups has some 30 MiB.
pub(crate) const CHECK_FOOTER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A part that is read whole; a larger one is too large for Power BI by far, and only its footer is looked at.
pub(crate) const CHECK_PART_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// By so much a part may pass PART_BYTES_MAX: it is closed by an estimate, and what waits in its last row group is
/// compressed only then.
pub(crate) const PART_SLACK_BYTES: u64 = 4 * 1024 * 1024;
/// What a check finds and tells; more says nothing new.
pub(crate) const CHECK_FINDINGS_MAX: usize = 500;
/// A file with a link or a signature: browsers and servers take few thousand characters, `--json` says more.
pub(crate) const LINK_FILE_BYTES_MAX: u64 = 64 * 1024;
/// UTF-16 units of a text that a model of Power BI keeps.
pub(crate) const MODEL_TEXT_UNITS_MAX: usize = 32_766;
/// A share that ends within this time is told of: runs extend those of haul long before.
pub(crate) const CHECK_SHARE_ENDS_SOON: Duration = Duration::from_secs(7 * 86_400);
