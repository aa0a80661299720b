-- The shape of MySQL's sample database `employees` (github.com/datacharmer/test_db): its names,
-- types, keys and numbers of rows; no row is from there. {people} are its 300,024 employees.
create table employees (
    emp_no     int not null primary key,
    birth_date date not null,
    first_name varchar(14) not null,
    last_name  varchar(16) not null,
    gender     enum('M', 'F') not null,
    hire_date  date not null
);
create table departments (
    dept_no   char(4) not null primary key,
    dept_name varchar(40) not null,
    unique key (dept_name)
);
create table dept_manager (
    emp_no    int not null,
    dept_no   char(4) not null,
    from_date date not null,
    to_date   date not null,
    foreign key (emp_no) references employees (emp_no) on delete cascade,
    foreign key (dept_no) references departments (dept_no) on delete cascade,
    primary key (emp_no, dept_no)
);
create table dept_emp (
    emp_no    int not null,
    dept_no   char(4) not null,
    from_date date not null,
    to_date   date not null,
    foreign key (emp_no) references employees (emp_no) on delete cascade,
    foreign key (dept_no) references departments (dept_no) on delete cascade,
    primary key (emp_no, dept_no)
);
create table titles (
    emp_no    int not null,
    title     varchar(50) not null,
    from_date date not null,
    to_date   date,
    foreign key (emp_no) references employees (emp_no) on delete cascade,
    primary key (emp_no, title, from_date)
);
create table salaries (
    emp_no    int not null,
    salary    int not null,
    from_date date not null,
    to_date   date not null,
    foreign key (emp_no) references employees (emp_no) on delete cascade,
    primary key (emp_no, from_date)
);
insert into departments
select concat('d', lpad(seq, 3, '0')), concat('Department of ', seq) from seq_1_to_9;
insert into employees
select 10000 + seq,
       date_add('1952-02-01', interval seq * 7 % 4750 day),
       concat(elt(1 + seq % 7, 'Georgi', 'Bezalel', 'Parto', 'Kyoichi', 'Anneke', 'Zwi', 'Mary'),
              char(97 + seq % 26)),
       concat(elt(1 + seq % 5, 'Facello', 'Simmel', 'Bamford', 'Koblick', 'Preusig'), seq % 1000),
       if(seq % 5 < 3, 'M', 'F'),
       date_add('1985-01-01', interval seq * 11 % 5400 day)
  from seq_1_to_{people};
insert into dept_manager
select 10000 + seq, concat('d', lpad(1 + seq % 9, 3, '0')), '1990-01-01', '9999-01-01'
  from seq_1_to_24;
insert into dept_emp
select emp_no, concat('d', lpad(1 + (emp_no + 5 * seq) % 9, 3, '0')),
       date_add(hire_date, interval seq - 1 year),
       if(seq = 2 or emp_no % 10 > 0, '9999-01-01', date_add(hire_date, interval 1 year))
  from employees join seq_1_to_2 on seq = 1 or emp_no % 19 < 2;
insert into titles
select emp_no, elt(seq, 'Engineer', 'Senior Engineer'),
       date_add(hire_date, interval 6 * (seq - 1) year),
       if(seq = 2 or emp_no % 19 > 8, null, date_add(hire_date, interval 6 year))
  from employees join seq_1_to_2 on seq = 1 or emp_no % 19 < 9;
insert into salaries
select emp_no, 38623 + emp_no * seq * 7 % 120000, date_add(hire_date, interval seq - 1 year),
       date_add(hire_date, interval seq year)
  from employees join seq_1_to_18 on seq <= 1 + emp_no % 18;
analyze table employees, departments, dept_manager, dept_emp, titles, salaries;
