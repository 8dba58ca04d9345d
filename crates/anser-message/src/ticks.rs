//! What is done now and then, by the ticks of a task. What it is, is not known here.

/// Due every so many ticks, and then until it is done.
#[derive(Debug, Default)]
pub(crate) struct Every<const TICKS: u32> {
    passed: u32,
}

impl<const TICKS: u32> Every<TICKS> {
    /// One more tick has passed. Returns whether it is due.
    pub(crate) const fn tick(&mut self) -> bool {
        self.passed = self.passed.saturating_add(1);
        self.is_due()
    }

    /// Whether it is due.
    pub(crate) const fn is_due(&self) -> bool {
        self.passed >= TICKS
    }

    /// It is due now.
    pub(crate) const fn hurry(&mut self) {
        self.passed = TICKS;
    }

    /// It is done: the ticks count anew.
    pub(crate) const fn done(&mut self) {
        self.passed = 0;
    }
}
