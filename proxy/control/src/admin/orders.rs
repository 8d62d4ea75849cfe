//! The forms that change something. Every one wants a session that may, and its `csrf` field.
//!
//! | method and path | form fields besides `csrf`, `plan` and `why` | what |
//! |---|---|---|
//! | `POST /actions/shift` | `route`, `percent`, `lift_floor=yes` | changes a share |
//! | `POST /actions/rollback` | `route` (absent or empty: every route), `force=yes` | to 0 |
//! | `POST /actions/undo` | | takes the last change back |
//!
//! `plan` is `token` of the plan that was shown. Each answers 303: to `/routes/NAME` or `/` when done, back to the confirm page
//! (`/actions/shift?route=..&percent=..`, `/actions/rollback?route=..`, `/actions/undo`) when refused; what came of it is
//! the session's flash. The confirm pages (`GET`) are the dashboard's.
