//! One test's stacks and racks, and the table of what happened to them.

use std::cell::{RefCell, RefMut};
use std::thread;

use serde_json::{Value, json};

use crate::engine::{Connection, ENGINE};
use crate::rack::{self, Set};
use crate::ssm::Store;
use crate::table::Table;

/// Calls of SSM, or answers to S3, that fail.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outage<'name> {
    /// Those that are about a parameter, or a stack, whose name begins so,
    pub name: &'name str,
    /// of this action, or of all,
    pub action: Option<&'static str>,
    /// so often, or until the outage ends.
    pub times: Option<usize>,
    /// Whether SSM refuses them, as for IAM and KMS; it is broken otherwise.
    pub is_refusal: bool,
}

/// What a test tells. Prints its steps when it ends, however it ends.
pub struct Story {
    /// The account's parameters.
    pub ssm: Store,
    connection: RefCell<Connection>,
    steps: RefCell<Table>,
    outages: RefCell<Vec<String>>,
    is_brief: bool,
}

impl Story {
    /// One in which nothing has happened.
    #[track_caller]
    pub fn begin(title: &str) -> Self {
        let columns = ["stack", "sent and answered", "written"].map(str::to_owned);
        Self {
            ssm: ENGINE.store(),
            connection: RefCell::new(ENGINE.connect()),
            steps: RefCell::new(Table::new(title, "step", &columns)),
            outages: RefCell::default(),
            is_brief: false,
        }
    }

    /// One that is told only where it goes wrong.
    #[track_caller]
    pub fn begin_briefly(title: &str) -> Self {
        let mut story = Self::begin(title);
        story.is_brief = true;
        story
    }

    /// The way to the engine.
    pub fn connection(&self) -> RefMut<'_, Connection> {
        self.connection.borrow_mut()
    }

    /// From now on, these calls fail.
    #[track_caller]
    pub fn begin_outage(&self, outage: &Outage) {
        let begin = json!({
            "name": outage.name,
            "action": outage.action,
            "times": outage.times,
            "is_refusal": outage.is_refusal,
        });
        self.connection().command("begin_outage", begin);
        self.outages.borrow_mut().push(outage.name.to_owned());
    }

    /// From now on, a stack's response URLs are forged so.
    #[track_caller]
    pub fn forge(&self, stack: &str, forgery: &Value) {
        let forge = json!({ "stack": stack, "forgery": forgery });
        self.connection().command("forge", forge);
    }

    /// All is well again.
    #[track_caller]
    pub fn end_outage(&self) {
        for name in self.outages.take() {
            self.connection()
                .command("end_outage", json!({ "name": name }));
        }
    }

    /// A rack's four values.
    pub fn set(&self, rack: &str) -> Set {
        Set::read(&self.ssm, rack)
    }

    /// Checks that a rack has not one parameter left.
    #[track_caller]
    pub fn check_removed(&self, rack: &str) {
        let left = self.ssm.read_all(&rack::all_names(rack));
        assert_eq!(left.into_keys().collect::<Vec<_>>(), [""; 0]);
    }

    /// Adds a step to the table.
    pub fn tell(&self, step: &str, cells: Vec<String>) {
        self.steps.borrow_mut().add(step, cells);
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        if !self.is_brief || thread::panicking() {
            self.steps.borrow().print();
        }
    }
}
